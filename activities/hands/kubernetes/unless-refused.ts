import { ClusterError } from '../../../k8s/connection/cluster-error.ts';

/** The cluster's refusals when a Job is gone, or is not any more as it was read. */
export const GONE_OR_CHANGED = [404, 409] as const;

/** What was asked for; undefined when the cluster refused it with one of these statuses. */
export async function unlessRefused<Value>(
  statuses: readonly number[],
  asked: Promise<Value>,
): Promise<Value | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ClusterError && statuses.includes(error.status)) return undefined;
    throw error;
  }
}
