import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import './quiet-runtime.ts';
import type { HistoryEvent } from '../../log/history-event.ts';
import {
  createStepReader,
  type LogDependencies,
  type StepAddress,
  type StepContext,
  type StepReader,
} from '../../log/index.ts';
import { createLogActivities } from './log-activities.ts';

export interface LogWorld {
  readonly client: Client;
  readonly connection: Connection;
  readonly taskQueue: string;
  readonly deps: LogDependencies;
  /** What every attempt of every model step read, in order. */
  readonly reads: readonly StepRead[];
  /** Model steps asked to `hold` begin once this is called, all of them. */
  release(): void;
  start(input: unknown, workflowId?: string): Promise<WorkflowHandleWithFirstExecutionRunId>;
  send(sessionId: string, text: unknown, updateId?: string): Promise<void>;
  /** Resets a run to just before its workflow task that `finish` ended. Gives the new run's id. */
  reset(sessionId: string, runId: string, finish: HistoryEvent): Promise<string>;
  history(sessionId: string, runId?: string): Promise<readonly HistoryEvent[]>;
  /** No worker polls until `startWorker`. */
  stopWorker(): Promise<void>;
  startWorker(): Promise<void>;
  close(): Promise<void>;
}

export interface StepRead {
  readonly at: StepAddress;
  readonly context: StepContext;
}

const NAMESPACE = 'default';
let bundle: ReturnType<typeof bundleWorkflowCode> | undefined;

/** A worker of the log's test workflow on its own task queue of a running server. */
export async function createLogWorld(address: string): Promise<LogWorld> {
  bundle ??= bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('./log-workflow.ts', import.meta.url)),
  });
  const workflowBundle = await bundle;
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const client = new Client({ connection, namespace: NAMESPACE });
  const taskQueue = `log-${randomUUID()}`;
  const steps = createStepReader({ service: native.workflowService, namespace: NAMESPACE });
  const reads: StepRead[] = [];
  const log: StepReader = {
    async readStep(at) {
      const context = await steps.readStep(at);
      reads.push({ at, context });
      return context;
    },
  };
  const released = Promise.withResolvers<void>();
  const activities = createLogActivities({ log, released: released.promise });
  let running: { worker: Worker; ended: Promise<void> } | undefined;

  const world: LogWorld = {
    client,
    connection,
    taskQueue,
    reads,
    release: () => released.resolve(),
    deps: {
      service: connection.workflowService,
      namespace: NAMESPACE,
      withAbortSignal: (signal, call) => connection.withAbortSignal(signal, call),
    },
    start: (input, workflowId = `log-${randomUUID()}`) =>
      client.workflow.start('session', { taskQueue, workflowId, args: [input] }),
    send: (sessionId, text, updateId = randomUUID()) =>
      client.workflow.getHandle(sessionId).executeUpdate('send', { args: [text], updateId }),
    async reset(workflowId, runId, finish) {
      const reset = await connection.workflowService.resetWorkflowExecution({
        namespace: NAMESPACE,
        workflowExecution: { workflowId, runId },
        reason: 'test',
        requestId: randomUUID(),
        workflowTaskFinishEventId: finish.eventId ?? null,
      });
      return reset.runId;
    },
    async history(workflowId, runId) {
      const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      return events ?? [];
    },
    async startWorker() {
      const worker = await Worker.create({
        connection: native,
        taskQueue,
        workflowBundle,
        activities,
        maxHeartbeatThrottleInterval: '100 milliseconds',
      });
      running = { worker, ended: worker.run() };
    },
    async stopWorker() {
      running?.worker.shutdown();
      await running?.ended;
      running = undefined;
    },
    async close() {
      await world.stopWorker();
      await native.close();
      await connection.close();
    },
  };
  await world.startWorker();
  return world;
}
