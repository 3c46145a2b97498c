import { randomUUID } from 'node:crypto';
import Anthropic from '@anthropic-ai/sdk';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { createModelActivities } from '../../activities/model/activities.ts';
import { createLogReader } from '../../log/log-reader.ts';
import { createStepReader } from '../../log/step-reader.ts';
import { send } from '../../protocol/messages.ts';
import type { RespondProgress } from '../../protocol/model-step.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import type { Player } from '../../rehearsal/player.ts';
import { gate, says, scripted } from '../../rehearsal/script.ts';
import { startRehearsalServer } from '../../rehearsal/server.ts';
import { createBrainWorker } from '../../workers/create-worker.ts';
import { loadWorkflowBundle } from '../../workers/workflow-bundle.ts';
import { BUNDLE_CACHE } from '../support/bundle-cache.ts';
// Failed attempts are the subject here; they need not be told on the terminal.
import '../support/quiet-runtime.ts';
import { waitFor } from '../support/wait-for.ts';

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** One session of one message on a real server, with brain workers that the test starts and stops. */
async function startSession(player: Player) {
  const address = inject('temporalAddress');
  const taskQueue = `drover-${randomUUID().slice(0, 8)}`;
  const model = await startRehearsalServer({ player });
  closing.push(() => model.close());
  const connection = await Connection.connect({ address });
  closing.push(() => connection.close());
  const native = await NativeConnection.connect({ address });
  closing.push(() => native.close());
  const log = createLogReader({ service: connection.workflowService, namespace: 'default' });
  const client = new Client({ connection });
  const handle = await client.workflow.start('session', {
    workflowId: `model-step-${randomUUID()}`,
    taskQueue,
    args: ['hi'],
  });
  return {
    handle,
    model,
    startWorker: () => startBrain(native, taskQueue, model.url),
    events: () => log.read(handle.workflowId),
    untilIdle: () =>
      waitFor('the session to be idle', async () => {
        const events = await log.read(handle.workflowId);
        return events.at(-1)?.type === 'session.status_idle' ? events : undefined;
      }),
  };
}

async function startBrain(native: NativeConnection, taskQueue: string, baseURL: string) {
  const anthropic = new Anthropic({ apiKey: 'rehearsal', authToken: null, baseURL });
  const log = createStepReader({ service: native.workflowService, namespace: 'default' });
  const worker = await createBrainWorker({
    connection: native,
    namespace: 'default',
    taskQueue,
    bundlePath: await loadWorkflowBundle(BUNDLE_CACHE),
    activities: {
      ...createModelActivities({ anthropic, log }),
      resolve: async () => ({}),
    },
  });
  const running = worker.run();
  const stop = async () => {
    if (isRunning(worker)) worker.shutdown();
    await running;
  };
  closing.push(stop);
  return { stop };
}

function isRunning(worker: Worker): boolean {
  return worker.getState() === 'RUNNING';
}

async function progressOf(handle: WorkflowHandle): Promise<RespondProgress | undefined> {
  const { raw } = await handle.describe();
  const [payload] = raw.pendingActivities?.[0]?.heartbeatDetails?.payloads ?? [];
  return payload ? defaultPayloadConverter.fromPayload<RespondProgress>(payload) : undefined;
}

function answersIn(events: readonly SessionEvent[]) {
  return events.flatMap((event) =>
    event.type === 'agent.message'
      ? [{ id: event.id, text: event.content.map(({ text }) => text).join('') }]
      : [],
  );
}

describe('a model step on a real server', () => {
  test('previews under the final id, and keeps what was said when interrupted', async () => {
    const held = gate(6);
    const session = await startSession(
      scripted([says('one two three', { deltaCharacters: 4, pace: held.pace })]),
    );
    await session.startWorker();
    await held.reached;
    const preview = await waitFor('the preview', async () => {
      const progress = await progressOf(session.handle);
      return progress?.text === 'one two thre' ? progress : undefined;
    });
    expect(preview).toMatchObject({ attempt: 1, event_type: 'agent.message', offset: 0 });
    await session.handle.executeUpdate(send, { args: [{ type: 'user.interrupt' }] });
    const events = await session.untilIdle();
    expect(answersIn(events)).toEqual([{ id: preview.event_id, text: 'one two thre' }]);
    const start = events.find((event) => event.type === 'span.model_request_start');
    const end = events.find((event) => event.type === 'span.model_request_end');
    expect(end).toMatchObject({ stop_reason: 'interrupted', model_request_start_id: start?.id });
    held.open();
    await session.model.requests[0]?.closed;
  });

  test('moves to another worker when its own is stopped in mid-answer', async () => {
    const held = gate(4);
    const session = await startSession(
      scripted([says('first try', { pace: held.pace }), says('second try')]),
    );
    const first = await session.startWorker();
    await held.reached;
    const stopped = first.stop();
    await session.startWorker();
    const events = await session.untilIdle();
    await stopped;
    expect(answersIn(events).map(({ text }) => text)).toEqual(['second try']);
    expect(session.model.requests).toHaveLength(2);
    expect(session.model.requests[1]?.body).toEqual(session.model.requests[0]?.body);
    const error = events.find((event) => event.type === 'session.error');
    expect(error?.error).toMatchObject({ retry_status: { type: 'retrying' } });
    expect(error?.error.message).toContain('The worker was stopped while the model answered');
  });

  test('waits as long as the model server asks', async () => {
    const session = await startSession(
      scripted([
        {
          type: 'error',
          status: 529,
          headers: { 'retry-after-ms': '1200' },
          body: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
        },
        says('hello'),
      ]),
    );
    await session.startWorker();
    const events = await session.untilIdle();
    expect(answersIn(events).map(({ text }) => text)).toEqual(['hello']);
    const [first, second] = session.model.requests;
    const waitedMs = (second?.atMs ?? 0) - (first?.atMs ?? 0);
    expect(waitedMs).toBeGreaterThanOrEqual(1_200);
    expect(waitedMs).toBeLessThan(5_000);
    expect(events.find((event) => event.type === 'session.error')?.error).toMatchObject({
      type: 'model_overloaded_error',
      retry_status: { type: 'retrying' },
    });
  });
});
