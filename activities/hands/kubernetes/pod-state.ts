import type { V1ContainerStateTerminated, V1ContainerStatus, V1Pod } from '@kubernetes/client-node';
import { FAILURE, type FailureType } from '../../../protocol/failure.ts';

/** What a pod's status says about the hand in it. */
export type PodState =
  | { readonly type: 'starting'; readonly waitingFor: string | undefined; readonly cause: Cause }
  | { readonly type: 'running' }
  | { readonly type: 'ended'; readonly cause: Cause };

/** Why there is no hand, in words that a person or the model can act on. */
export interface Cause {
  readonly type: FailureType;
  readonly text: string;
  /** Another attempt can be expected to do better by itself. */
  readonly isPassing: boolean;
}

const CONFIG_REASONS = [
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'InvalidImageName',
  'ErrImageNeverPull',
];

/** Of a node that is not ready, or that an administrator has tainted. */
const BY_ITS_NODE = 'DeletionByTaintManager';
/** Of a container that the runtime could not start. */
const START_ERROR_CODE = 128;
const INTERRUPTED = /context (canceled|deadline exceeded)/;
const STARTING = ['', 'ContainerCreating', 'PodInitializing'];

export function readPodState(pod: V1Pod): PodState {
  const { status, metadata } = pod;
  const container = status?.containerStatuses?.[0];
  const copier = status?.initContainerStatuses?.find((one) => !hasDone(one));
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded') {
    return { type: 'ended', cause: causeOfEnd(pod, container, copier) };
  }
  if (metadata?.deletionTimestamp !== undefined) {
    return { type: 'ended', cause: causeOfDeletion(pod) };
  }
  if (container?.state?.running !== undefined) return { type: 'running' };
  // A container that has ended shows before the reason does, which comes with the phase.
  return stateOfPending(pod, copier ?? container);
}

function hasDone({ state }: V1ContainerStatus): boolean {
  return state?.terminated?.exitCode === 0;
}

function stateOfPending(pod: V1Pod, container: V1ContainerStatus | undefined): PodState {
  const { reason = '', message = '' } = container?.state?.waiting ?? {};
  const image = container?.image ?? pod.spec?.containers[0]?.image ?? '';
  if (reason === 'ImagePullBackOff' || reason === 'ErrImagePull') {
    const text = `image ${image} cannot be pulled: ${message || reason}`;
    const cause = lasting(FAILURE.sandboxImageMissing, text);
    // The first failure may be the registry's; after some the kubelet backs off.
    if (reason === 'ErrImagePull') return { type: 'starting', waitingFor: text, cause };
    return { type: 'ended', cause };
  }
  if (CONFIG_REASONS.includes(reason)) {
    const isImage = reason.includes('Image');
    const type = isImage ? FAILURE.sandboxImageMissing : FAILURE.sandboxStartFailed;
    const text = `its container cannot be made from image ${image} (${reason}): ${message}`;
    return { type: 'ended', cause: lasting(type, text) };
  }
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    const text = `no node can take its pod: ${scheduled.message ?? scheduled.reason ?? ''}`;
    const cause = passing(FAILURE.sandboxUnschedulable, text);
    return { type: 'starting', waitingFor: text, cause };
  }
  const text = 'its pod did not get to run';
  const waitingFor = STARTING.includes(reason) ? undefined : reason;
  return { type: 'starting', waitingFor, cause: passing(FAILURE.sandboxUnavailable, text) };
}

/** Eviction, preemption and a node that is not ready delete a pod too, and leave their names. */
function causeOfDeletion({ status }: V1Pod): Cause {
  const disruption = status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
  if (disruption === undefined) return passing(FAILURE.sandboxUnavailable, 'its pod was deleted');
  const { reason, message } = disruption;
  const why = reason === BY_ITS_NODE ? ', since its node does not answer or is being emptied' : '';
  const text = `its pod was deleted${why} (${reason}: ${message})`;
  return passing(FAILURE.sandboxUnavailable, text);
}

function causeOfEnd(
  { status }: V1Pod,
  container: V1ContainerStatus | undefined,
  copier: V1ContainerStatus | undefined,
): Cause {
  const terminated = container?.state?.terminated;
  if (terminated?.reason === 'OOMKilled') {
    const text = 'it ran out of memory and was killed; its environment sets config.memory_mib';
    return lasting(FAILURE.sandboxOutOfMemory, text);
  }
  const disruption = status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
  const { reason, message } = status?.reason === undefined ? (disruption ?? {}) : status;
  if (reason === 'DeadlineExceeded') {
    const text = 'it reached its longest lifetime (config.max_lifetime_seconds)';
    return passing(FAILURE.sandboxUnavailable, text);
  }
  if (reason !== undefined) {
    const text = `its pod was ended by the cluster (${reason}): ${message ?? 'no message'}`;
    return passing(FAILURE.sandboxUnavailable, text);
  }
  const copied = copier?.state?.terminated;
  const interruption = interruptionOf(copied ?? terminated);
  if (interruption !== undefined) return interruption;
  if (copied !== undefined) {
    const why = copied.message ?? copied.reason ?? 'no reason given';
    const text = `the daemon could not be carried into its image (exit code ${copied.exitCode}): ${why}`;
    return lasting(FAILURE.sandboxStartFailed, text);
  }
  const code = terminated?.exitCode ?? 'unknown';
  const said = terminated?.message ?? terminated?.reason ?? 'it said nothing';
  return lasting(FAILURE.sandboxStartFailed, `its daemon ended with exit code ${code}: ${said}`);
}

/** Whoever had asked the runtime for a container went away meanwhile: a kubelet that was ended. */
function interruptionOf(end: V1ContainerStateTerminated | undefined): Cause | undefined {
  const { exitCode, message = '' } = end ?? {};
  if (exitCode !== START_ERROR_CODE || !INTERRUPTED.test(message)) return undefined;
  const text = `its node was interrupted as it started its container: ${message}`;
  return passing(FAILURE.sandboxUnavailable, text);
}

function passing(type: FailureType, text: string): Cause {
  return { type, text, isPassing: true };
}

function lasting(type: FailureType, text: string): Cause {
  return { type, text, isPassing: false };
}
