import { NativeConnection } from '@temporalio/worker';
import type { HandActivities } from '../../protocol/hand.ts';
import { createHandsWorker } from '../../workers/create-worker.ts';
import type { World } from './world.ts';

/** Serves a kind of hand from within the bench; it ends with the world. */
export async function serveHands(
  world: World,
  taskQueue: string,
  activities: HandActivities,
): Promise<void> {
  const connection = await NativeConnection.connect({ address: world.address });
  world.defer(() => connection.close());
  const worker = await createHandsWorker({
    connection,
    namespace: 'default',
    taskQueue,
    activities,
  });
  const running = worker.run();
  world.defer(async () => {
    worker.shutdown();
    await running;
  });
}
