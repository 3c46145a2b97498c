import { randomUUID } from 'node:crypto';
import Anthropic from '@anthropic-ai/sdk';
import { NativeConnection } from '@temporalio/worker';
import { describe, expect, inject, test } from 'vitest';
import { createModelActivities } from '../../activities/model/activities.ts';
import {
  connectDrover,
  type DroverError,
  EventNotRecordedError,
  ServerUnreachableError,
  WorkerMissingError,
} from '../../client/index.ts';
import { createStepReader } from '../../log/step-reader.ts';
import { fromConversation, says } from '../../rehearsal/script.ts';
import { startRehearsalServer } from '../../rehearsal/server.ts';
import { createBrainWorker } from '../../workers/create-worker.ts';
import { loadWorkflowBundle } from '../../workers/workflow-bundle.ts';
import { BUNDLE_CACHE } from '../support/bundle-cache.ts';
import { startDevServer } from '../support/dev-server.ts';
import '../support/quiet-runtime.ts';

async function rejection(request: Promise<unknown>): Promise<unknown> {
  return request.then(
    () => expect.unreachable('it should have failed'),
    (error: unknown) => error,
  );
}

/** A worker for workflows and model steps on one queue, until the work is done. */
async function withWorker(taskQueue: string, work: () => Promise<void>): Promise<void> {
  const model = await startRehearsalServer({ player: fromConversation(() => says('heard')) });
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  const log = createStepReader({ service: connection.workflowService, namespace: 'default' });
  const anthropic = new Anthropic({ baseURL: model.url, apiKey: 'rehearsal', maxRetries: 0 });
  const worker = await createBrainWorker({
    connection,
    namespace: 'default',
    taskQueue,
    bundlePath: await loadWorkflowBundle(BUNDLE_CACHE),
    activities: {
      ...createModelActivities({ anthropic, log }),
      resolve: async () => ({}),
    },
  });
  await worker.runUntil(work());
  await connection.close();
  await model.close();
}

describe('no worker polls', () => {
  test.concurrent('send fails in 10 s, and the same id sent again is recorded once', async () => {
    const taskQueue = `nobody-${randomUUID()}`;
    const drover = await connectDrover({ address: inject('temporalAddress'), taskQueue });
    const { id } = await drover.sessions.create('hello');
    expect(await drover.sessions.events(id)).toMatchObject([{ type: 'user.message' }]);

    const startedMs = Date.now();
    const updateId = randomUUID();
    const error = await rejection(drover.sessions.send(id, 'anyone?', { id: updateId }));
    expect(error).toBeInstanceOf(EventNotRecordedError);
    expect((error as EventNotRecordedError).id).toBe(updateId);
    expect((error as Error).message).toContain(`no worker polls task queue "${taskQueue}"`);
    expect((error as Error).message).toContain(updateId);
    expect(Date.now() - startedMs).toBeGreaterThan(9_000);
    expect(Date.now() - startedMs).toBeLessThan(14_000);
    expect(await drover.sessions.events(id)).toHaveLength(1);

    await withWorker(taskQueue, async () => {
      const { event_ids } = await drover.sessions.send(id, 'anyone?', { id: updateId });
      await drover.sessions.waitUntilIdle(id, { after: String(event_ids[0]) });
      const messages = await drover.sessions.events(id, { types: ['user.message'] });
      expect(messages.map((event) => event.id).filter((each) => each === event_ids[0])).toEqual(
        event_ids,
      );
      expect(messages).toHaveLength(2);
    });
    await drover.close();
  });

  test.concurrent('an agent is created, and reading it says that a worker is missing', async () => {
    const taskQueue = `nobody-${randomUUID()}`;
    const drover = await connectDrover({ address: inject('temporalAddress'), taskQueue });
    const { id } = await drover.agents.create({ name: 'lonely' });
    const error = await rejection(drover.agents.get(id));
    expect(error).toBeInstanceOf(WorkerMissingError);
    expect((error as Error).message).toContain(taskQueue);

    await withWorker(taskQueue, async () => {
      expect(await drover.agents.get(id)).toMatchObject({ id, version: 1 });
      const updated = await drover.agents.update(id, { name: 'changed' });
      expect(updated).toMatchObject({ version: 2, definition: { name: 'changed' } });
      expect((await drover.agents.get(id, { version: 1 })).definition.name).toBe('lonely');
      const missing = (await rejection(drover.agents.get(id, { version: 3 }))) as DroverError;
      expect(missing.code).toBe('not_found');
      await drover.agents.archive(id);
      const refused = (await rejection(drover.agents.update(id, {}))) as DroverError;
      expect(refused.code).toBe('invalid_input');
      expect(refused.message).toContain('archived');
    });
    await drover.close();
  });
});

describe('no server', () => {
  test('connecting fails within seconds, naming the address and the remedy', async () => {
    const startedMs = Date.now();
    const error = await rejection(
      connectDrover({ address: '127.0.0.1:1', connectTimeoutMs: 2_000 }),
    );
    expect(error).toBeInstanceOf(ServerUnreachableError);
    expect((error as Error).message).toMatch(/127\.0\.0\.1:1.*TEMPORAL_ADDRESS/);
    expect(Date.now() - startedMs).toBeLessThan(5_000);
  });

  test('a server that vanishes is named too', async () => {
    const server = await startDevServer();
    const drover = await connectDrover({ address: server.address });
    const { id } = await drover.sessions.create('hello');
    await server.stop();
    const startedMs = Date.now();
    const error = await rejection(drover.sessions.get(id));
    expect(error).toBeInstanceOf(ServerUnreachableError);
    expect((error as Error).message).toContain(server.address);
    expect(Date.now() - startedMs).toBeLessThan(10_000);
    await drover.close();
  });
});
