import type { V1Job } from '@kubernetes/client-node';
import { ClusterError } from '../../../k8s/connection/cluster-error.ts';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import type { HandInstance } from '../../../protocol/hand.ts';

/**
 * Ends a hand, unless another pod than its own lives in its place. Done already is success.
 *
 * @returns the Job as it was.
 */
export async function deleteHandJob(
  cluster: HandCluster,
  hand: HandInstance,
): Promise<V1Job | undefined> {
  try {
    for (const job of await cluster.listJobsOf(hand)) {
      const pods = await cluster.listPods([job]);
      const isAnothers =
        pods.length > 0 && pods.every((pod) => pod.metadata?.uid !== hand.instance);
      if (isAnothers) continue;
      await cluster.deleteJob(job);
      return job;
    }
    return undefined;
  } catch (error) {
    // Gone, or made anew since it was read.
    const isDone = error instanceof ClusterError && [404, 409].includes(error.status);
    if (isDone) return undefined;
    throw error;
  }
}
