import { setTimeout as delay } from 'node:timers/promises';
import type { CoreV1Event, V1Job, V1Pod } from '@kubernetes/client-node';
import { ClusterError } from '../../../k8s/connection/cluster-error.ts';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import { type Cause, readPodState } from './pod-state.ts';
import { readRefusal } from './read-refusal.ts';

/** There will be no running pod. */
export class NoPodError extends Error {
  override readonly name = 'NoPodError';
  readonly reason: Cause;

  constructor(reason: Cause) {
    super(reason.text);
    this.reason = reason;
  }
}

export interface AwaitPodOptions {
  /** Time in which the pod must run. */
  readonly startMs: number;
  onWaiting(reason: string): void;
  readonly abandoned: AbortSignal;
  /** Resolves once the container of a pod that has a node is known to run. Default: its status tells. */
  reach?(pod: V1Pod): Promise<void>;
}

const EVENTS_MS = 1_000;
const REWATCH_MS = 200;
/** Many pods at once count against one quota: whoever makes them tries again by itself. */
const CONFLICT = /object has been modified/;

/**
 * The pod of a Job once its container runs.
 *
 * @throws {NoPodError} when it will not, or did not in time.
 * @throws {ClusterError}
 */
export async function awaitPod(
  cluster: HandCluster,
  job: V1Job,
  options: AwaitPodOptions,
): Promise<V1Pod> {
  const stop = new AbortController();
  const progress: Progress = { hasPod: false, hasNode: false, cause: NO_POD };
  const reached = Promise.withResolvers<V1Pod>();
  const refused = watchRefusals(cluster, job, progress, stop.signal);
  const running = watchPod(cluster, job, {
    progress,
    signal: stop.signal,
    onReached: reached.resolve,
    ...options,
  });
  const late = delay(options.startMs, undefined, { signal: stop.signal }).then(() => {
    const { type, text, isPassing } = progress.cause;
    const seconds = Math.round(options.startMs / 1000);
    throw new NoPodError({ type, isPassing, text: `not in ${seconds} s: ${text}` });
  });
  const unwanted = untilAbandoned(options.abandoned, stop.signal);
  try {
    return await Promise.race([running, reached.promise, refused, late, unwanted]);
  } finally {
    stop.abort();
    await Promise.allSettled([running, refused, late]);
  }
}

function untilAbandoned(abandoned: AbortSignal, stop: AbortSignal): Promise<never> {
  const text = 'nobody waits for it any more';
  const cause = { type: FAILURE.sandboxUnavailable, text, isPassing: true };
  return new Promise((_resolve, reject) => {
    const onAbandoned = (): void => reject(new NoPodError(cause));
    if (abandoned.aborted) onAbandoned();
    abandoned.addEventListener('abort', onAbandoned, { once: true, signal: stop });
  });
}

interface Progress {
  hasPod: boolean;
  hasNode: boolean;
  /** Why the hand would not be there if its time ended now. */
  cause: Cause;
}

const NO_POD: Cause = {
  type: FAILURE.sandboxUnavailable,
  text: 'the cluster has not made its pod',
  isPassing: true,
};

/** A cluster that is away for a moment costs a watch, not the Job that is being made. */
async function watchPod(cluster: HandCluster, job: V1Job, options: WatchOptions): Promise<V1Pod> {
  const { progress, signal, onWaiting } = options;
  for (;;) {
    signal.throwIfAborted();
    try {
      const pod = await watchOnce(cluster, job, options);
      if (pod !== undefined) return pod;
    } catch (error) {
      const cause = causeOfSilence(error);
      progress.cause = cause;
      onWaiting(cause.text);
    }
    await delay(REWATCH_MS, undefined, { signal });
  }
}

type WatchOptions = AwaitPodOptions & {
  readonly progress: Progress;
  readonly signal: AbortSignal;
  onReached(pod: V1Pod): void;
};

/** @returns nothing when the server ends the watch first. */
async function watchOnce(
  cluster: HandCluster,
  job: V1Job,
  { progress, signal, onWaiting, onReached, reach }: WatchOptions,
): Promise<V1Pod | undefined> {
  for await (const pod of cluster.watchPods(job, signal)) {
    if (!belongsTo(pod, job)) continue;
    progress.hasPod = true;
    const state = readPodState(pod);
    if (state.type === 'running') return pod;
    if (state.type === 'ended') throw new NoPodError(state.cause);
    if (pod.spec?.nodeName !== undefined && !progress.hasNode) {
      progress.hasNode = true;
      reach?.(pod).then(
        () => onReached(pod),
        () => {},
      );
    }
    progress.cause = state.cause;
    if (state.waitingFor !== undefined) onWaiting(state.waitingFor);
  }
  return undefined;
}

/** @throws what is no silence. */
function causeOfSilence(error: unknown): Cause {
  if (!(error instanceof ClusterError) || error.status !== 0) throw error;
  return { type: FAILURE.sandboxClusterUnreachable, text: error.message, isPassing: true };
}

/** A pod that may not be made appears nowhere; only an event of the Job tells. */
async function watchRefusals(
  cluster: HandCluster,
  job: V1Job,
  progress: Progress,
  signal: AbortSignal,
): Promise<never> {
  for (;;) {
    await delay(EVENTS_MS, undefined, { signal });
    if (progress.hasPod) continue;
    const events = await eventsOf(cluster, job);
    const refusal = events.find(
      ({ reason, message = '' }) => reason === 'FailedCreate' && !CONFLICT.test(message),
    )?.message;
    if (refusal === undefined) continue;
    throw new NoPodError(readRefusal(refusal));
  }
}

async function eventsOf(cluster: HandCluster, job: V1Job): Promise<readonly CoreV1Event[]> {
  try {
    return await cluster.listEvents(job);
  } catch (error) {
    // Whoever watches its pod tells of it.
    causeOfSilence(error);
    return [];
  }
}

export function belongsTo(pod: V1Pod, job: V1Job): boolean {
  const owners = pod.metadata?.ownerReferences ?? [];
  return owners.some(({ uid }) => uid === job.metadata?.uid);
}
