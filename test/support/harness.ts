import { randomUUID } from 'node:crypto';
import Anthropic from '@anthropic-ai/sdk';
import {
  Client,
  type WorkflowHandle,
  type WorkflowHandleWithFirstExecutionRunId,
} from '@temporalio/client';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { inject } from 'vitest';
import { createModelActivities } from '../../activities/model/activities.ts';
import { createRegistryActivities } from '../../activities/registry/activities.ts';
import { openConnection } from '../../client/open-connection.ts';
import { openKeyRing } from '../../codec/key-ring-file.ts';
import {
  createReaderCodec,
  createWorkerCodec,
  type PayloadKeys,
} from '../../codec/payload-codec.ts';
import { createLogReader, type LogReader } from '../../log/log-reader.ts';
import { createStepReader } from '../../log/step-reader.ts';
import type { AgentInput } from '../../protocol/agent.ts';
import type { HandActivities } from '../../protocol/hand.ts';
import { getSession } from '../../protocol/messages.ts';
import type { SessionResource } from '../../protocol/session.ts';
import type { Player } from '../../rehearsal/player.ts';
import { type RehearsalServer, startRehearsalServer } from '../../rehearsal/server.ts';
import { createBrainWorker, createHandsWorker } from '../../workers/create-worker.ts';
import { createClientConverter } from '../../workers/data-converter.ts';
import { loadWorkflowBundle } from '../../workers/workflow-bundle.ts';
import { BUNDLE_CACHE } from './bundle-cache.ts';
import './quiet-runtime.ts';
import { waitFor } from './wait-for.ts';

const STALL_TIMEOUT_MS = 2_000;

export interface HarnessOptions {
  readonly player: Player;
  /** Served on the harness's own hands queue. Default: hands that answer every call with `ok`. */
  readonly hands?: HandActivities;
  /** The key the worker sends; the server takes any unless it is told one. */
  readonly apiKey?: { readonly sent: string; readonly accepted: string };
  /** Encrypts payloads. Default: as the suite does. */
  readonly keys?: PayloadKeys;
  /** Those of an earlier harness, whose sessions it then takes over. */
  readonly queues?: Pick<Harness, 'taskQueue' | 'handsQueue'>;
}

/** Workers of one test on the suite's server, with queues and a stand-in model of their own. */
export interface Harness {
  readonly client: Client;
  readonly log: LogReader;
  readonly model: RehearsalServer;
  readonly taskQueue: string;
  readonly handsQueue: string;
  /** Starts a session on the harness's queues. */
  start(input?: StartInput): Promise<WorkflowHandleWithFirstExecutionRunId>;
  /** Waits until the session has become idle, and reads it. */
  untilIdle(handle: WorkflowHandle): Promise<SessionResource>;
  stop(): Promise<void>;
}

export type StartInput = Readonly<Record<string, unknown>> & { readonly agent?: AgentInput };

export async function startHarness(options: HarnessOptions): Promise<Harness> {
  const address = inject('temporalAddress');
  const suffix = randomUUID().slice(0, 8);
  const { taskQueue, handsQueue } = options.queues ?? {
    taskQueue: `drover-${suffix}`,
    handsQueue: `drover-hands-${suffix}`,
  };
  const { apiKey, player } = options;
  const model = await startRehearsalServer({
    player,
    ...(apiKey === undefined ? {} : { apiKey: apiKey.accepted }),
  });
  const native = await NativeConnection.connect({ address });
  const { connection, close } = await openConnection(address, {});
  const keys = options.keys === undefined ? await openSuiteKeys() : options.keys;
  const client = new Client({ connection, dataConverter: createClientConverter(keys) });
  const anthropic = new Anthropic({
    baseURL: model.url,
    apiKey: apiKey?.sent ?? 'rehearsal',
    authToken: null,
    maxRetries: 0,
  });
  const target = { connection: native, namespace: 'default', keys };
  const log = createStepReader({
    service: native.workflowService,
    namespace: 'default',
    payloadCodecs: [createWorkerCodec(keys)],
  });
  const workers = await Promise.all([
    createBrainWorker({
      ...target,
      taskQueue,
      bundlePath: await loadWorkflowBundle(BUNDLE_CACHE, keys === null ? 'clear' : 'encoded'),
      activities: {
        ...createModelActivities({ anthropic, log, stallTimeoutMs: STALL_TIMEOUT_MS }),
        ...createRegistryActivities({ client }),
      },
    }),
    createHandsWorker({ ...target, taskQueue: handsQueue, activities: options.hands ?? okHands() }),
  ]);
  const running = Promise.all(workers.map((worker) => worker.run()));

  return {
    client,
    model,
    taskQueue,
    handsQueue,
    log: createLogReader({
      service: connection.workflowService,
      namespace: 'default',
      payloadCodecs: [createReaderCodec(keys)],
    }),
    start: (input = {}) =>
      client.workflow.start('session', {
        workflowId: `test-${randomUUID()}`,
        taskQueue,
        args: [{ environment: { task_queue: handsQueue }, ...input }],
      }),
    untilIdle,
    stop: () => stopAll(workers, running, model, close, native),
  };
}

async function openSuiteKeys(): Promise<PayloadKeys> {
  const path = inject('payloadKeys');
  return path === undefined ? null : openKeyRing(path);
}

function untilIdle(handle: WorkflowHandle): Promise<SessionResource> {
  return waitFor(`${handle.workflowId} to be idle`, async () => {
    const session = await handle.query(getSession);
    return session.status === 'idle' && session.stop_reason !== null && session;
  });
}

async function stopAll(
  workers: readonly Worker[],
  running: Promise<unknown>,
  model: RehearsalServer,
  closeConnection: () => Promise<void>,
  native: NativeConnection,
): Promise<void> {
  for (const worker of workers) worker.shutdown();
  await running;
  await model.close();
  await closeConnection();
  await native.close();
}

/** Hands that answer every call with `ok: <command>` and are never lost. */
export function okHands(overrides: Partial<HandActivities> = {}): HandActivities {
  return {
    provision: async ({ hand }) => ({
      hand: { ...hand, provider: 'fake', instance: `${hand.name}-${hand.generation}` },
    }),
    execute: async ({ call }) => ({
      events: [
        {
          type: 'agent.tool_result',
          tool_use_id: call.id,
          content: [{ type: 'text', text: `ok: ${String(call.input['command'] ?? call.name)}` }],
        },
      ],
    }),
    release: async () => {},
    ...overrides,
  };
}
