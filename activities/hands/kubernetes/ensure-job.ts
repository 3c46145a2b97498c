import type { V1Job } from '@kubernetes/client-node';
import { ClusterError } from '../../../k8s/connection/cluster-error.ts';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import { ANNOTATION, LABEL, MANAGED_BY } from '../../../k8s/hand-labels.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type { HandName } from '../../../protocol/hand.ts';
import { NoPodError } from './await-pod.ts';
import type { Cause } from './pod-state.ts';

/**
 * Makes the Job, or adopts the one that an earlier attempt made from the same recipe.
 *
 * @throws {NoPodError} The name is taken by a Job that may not be used.
 * @throws {ClusterError}
 */
export async function ensureJob(
  cluster: HandCluster,
  hand: HandName,
  wanted: V1Job,
): Promise<V1Job> {
  try {
    return await cluster.createJob(wanted);
  } catch (error) {
    if (!(error instanceof ClusterError) || error.status !== 409) throw error;
  }
  const present = await cluster.getJob(hand);
  if (!isHandJob(present, hand)) {
    throw new NoPodError(lasting(`a foreign Job has its name, ${present.metadata?.name}`));
  }
  if (present.metadata?.deletionTimestamp !== undefined) {
    throw new NoPodError(passing('the Job before it is still being deleted'));
  }
  const isSame = hashOf(present) === hashOf(wanted);
  if (isSame && !hasEnded(present)) return present;
  // No session has it: a hand that was reported gets another generation when it ends.
  await cluster.deleteJob(present);
  const why = isSame ? 'had ended' : 'was made from another recipe';
  throw new NoPodError(passing(`the Job before it ${why} and is being deleted`));
}

/** Whether a Job was made for a hand of this name, and by us. */
export function isHandJob({ metadata }: V1Job, { session_id, name }: HandName): boolean {
  const { labels = {}, annotations = {} } = metadata ?? {};
  return (
    labels[LABEL.managedBy] === MANAGED_BY &&
    annotations[ANNOTATION.session] === session_id &&
    annotations[ANNOTATION.hand] === name
  );
}

function hashOf({ metadata }: V1Job): string | undefined {
  return metadata?.annotations?.[ANNOTATION.specHash];
}

function hasEnded({ status }: V1Job): boolean {
  const ends = ['Failed', 'Complete', 'FailureTarget', 'SuccessCriteriaMet'];
  return (status?.conditions ?? []).some(
    ({ type, status: value }) => ends.includes(type) && value === 'True',
  );
}

function passing(text: string): Cause {
  return { type: FAILURE.sandboxUnavailable, text, isPassing: true };
}

function lasting(text: string): Cause {
  return { type: FAILURE.sandboxUnavailable, text, isPassing: false };
}
