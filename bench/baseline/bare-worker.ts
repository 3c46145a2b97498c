import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { bareActivities } from './bare-activities.ts';

/** A process of its own, as Drover's worker is: `bare-worker.ts ADDRESS QUEUE OTHER_QUEUE`. */
async function main([address = '', taskQueue = '', otherQueue = '']: string[]): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const connection = await NativeConnection.connect({ address });
  const activities = { ...bareActivities };
  const workers = await Promise.all([
    Worker.create({
      connection,
      taskQueue,
      activities,
      workflowsPath: fileURLToPath(new URL('./workflows.ts', import.meta.url)),
    }),
    Worker.create({ connection, taskQueue: otherQueue, activities }),
  ]);
  const running = Promise.all(workers.map((worker) => worker.run()));
  console.log('bare worker: polling');
  await running;
  await connection.close();
}

await main(process.argv.slice(2));
