import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import { createStepReader, type LogDependencies } from '../../log/index.ts';
import { createLogActivities } from './log-activities.ts';

export interface LogWorld {
  readonly client: Client;
  readonly connection: Connection;
  readonly taskQueue: string;
  readonly deps: LogDependencies;
  start(input: unknown, workflowId?: string): Promise<WorkflowHandle>;
  send(sessionId: string, text: unknown, updateId?: string): Promise<void>;
  /** No worker polls until `startWorker`. */
  stopWorker(): Promise<void>;
  startWorker(): Promise<void>;
  close(): Promise<void>;
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
  const activities = createLogActivities({
    log: createStepReader({ service: native.workflowService, namespace: NAMESPACE }),
  });
  let running: { worker: Worker; ended: Promise<void> } | undefined;

  const world: LogWorld = {
    client,
    connection,
    taskQueue,
    deps: {
      service: connection.workflowService,
      namespace: NAMESPACE,
      withAbortSignal: (signal, call) => connection.withAbortSignal(signal, call),
    },
    start: (input, workflowId = `log-${randomUUID()}`) =>
      client.workflow.start('session', { taskQueue, workflowId, args: [input] }),
    send: (sessionId, text, updateId = randomUUID()) =>
      client.workflow.getHandle(sessionId).executeUpdate('send', { args: [text], updateId }),
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
