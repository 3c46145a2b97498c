import type { V1Job } from '@kubernetes/client-node';
import { ClusterError } from '../../../k8s/connection/cluster-error.ts';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';

/** Deletes a Job as it was read; one that was `changed` since is there still. */
export async function deleteUnchangedJob(
  cluster: HandCluster,
  job: V1Job,
): Promise<'deleted' | 'gone' | 'changed'> {
  try {
    await cluster.deleteUnchangedJob(job);
    return 'deleted';
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    if (error.status === 404) return 'gone';
    if (error.status === 409) return 'changed';
    throw error;
  }
}
