import { type NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import type { PayloadKeys } from '../codec/payload-codec.ts';
import type { HandActivities } from '../protocol/hand.ts';
import type { BrainActivities } from '../protocol/model-step.ts';
import { TASK_QUEUE } from '../protocol/task-queue.ts';
import type { VaultActivities } from '../protocol/vault.ts';
import { createWorkerConverter } from './data-converter.ts';

interface Target {
  readonly connection: NativeConnection;
  readonly namespace: string;
  /** Encrypts payloads. Default: none, nothing is encrypted. */
  readonly keys?: PayloadKeys;
  readonly deployment?: { readonly name: string; readonly buildId: string } | null;
}

/**
 * A killed worker is noticed by what it stops doing: heartbeats reach the server at this interval,
 * and its sticky queue is given up after this time.
 */
const NOTICE = {
  maxHeartbeatThrottleInterval: '250 milliseconds',
  defaultHeartbeatThrottleInterval: '250 milliseconds',
  stickyQueueScheduleToStartTimeout: '1 second',
} as const;

/** Workflows and model steps. `taskQueue` is `drover` unless a test wants its own. */
export function createBrainWorker(
  target: Target & {
    readonly bundlePath: string;
    readonly activities: BrainActivities;
    readonly taskQueue?: string;
  },
): Promise<Worker> {
  return Worker.create({
    ...shared(target),
    taskQueue: target.taskQueue ?? TASK_QUEUE.session,
    workflowBundle: { codePath: target.bundlePath },
    activities: target.activities,
    maxConcurrentActivityTaskExecutions: 200,
  });
}

/** Sandboxes: provisioning, tool calls, release. */
export function createHandsWorker(
  target: Target & { readonly taskQueue: string; readonly activities: HandActivities },
): Promise<Worker> {
  return Worker.create({
    ...shared(target),
    taskQueue: target.taskQueue,
    activities: target.activities,
    maxConcurrentActivityTaskExecutions: 200,
  });
}

/** What needs credentials. `taskQueue` is `drover-vault` unless a test wants its own. */
export function createVaultWorker(
  target: Target & { readonly taskQueue?: string; readonly activities: VaultActivities },
): Promise<Worker> {
  return Worker.create({
    ...shared(target),
    taskQueue: target.taskQueue ?? TASK_QUEUE.vault,
    activities: target.activities,
    maxConcurrentActivityTaskExecutions: 200,
  });
}

function shared({ connection, namespace, keys = null, deployment }: Target) {
  return {
    connection,
    namespace,
    dataConverter: createWorkerConverter(keys),
    // The check would fail the workflow task that refuses an oversized update, again and again,
    // since the refusal carries the update. What Drover itself returns is capped where it is made.
    disablePayloadErrorLimit: true,
    ...NOTICE,
    shutdownGraceTime: '5 seconds',
    ...(deployment == null
      ? {}
      : {
          workerDeploymentOptions: {
            useWorkerVersioning: true,
            version: { deploymentName: deployment.name, buildId: deployment.buildId },
            defaultVersioningBehavior: 'PINNED',
          },
        }),
  } satisfies Partial<WorkerOptions>;
}
