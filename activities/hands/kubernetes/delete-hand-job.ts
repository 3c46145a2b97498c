import type { V1Job } from '@kubernetes/client-node';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import type { HandInstance } from '../../../protocol/hand.ts';
import { GONE_OR_CHANGED, unlessRefused } from './unless-refused.ts';

/**
 * Ends a hand, unless another pod than its own lives in its place. Done already is success.
 *
 * @returns the Job as it was.
 */
export async function deleteHandJob(
  cluster: HandCluster,
  hand: HandInstance,
): Promise<V1Job | undefined> {
  for (const job of await cluster.listJobsOf(hand)) {
    const pods = await cluster.listPods([job]);
    const isAnothers = pods.length > 0 && pods.every((pod) => pod.metadata?.uid !== hand.instance);
    if (isAnothers) continue;
    const deletion = cluster.deleteJob(job).then(() => job);
    return unlessRefused(GONE_OR_CHANGED, deletion);
  }
  return undefined;
}
