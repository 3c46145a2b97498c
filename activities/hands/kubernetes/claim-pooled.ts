import type { V1Job } from '@kubernetes/client-node';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import type { JobIdentity } from '../../../k8s/hand-labels.ts';
import { isIdle } from '../../../k8s/pool-job.ts';
import { hasEnded } from './has-ended.ts';
import { GONE_OR_CHANGED, unlessRefused } from './unless-refused.ts';

const TRIES = 3;

/**
 * Makes a pooled Job that of `identity`, by one patch of the Job as it was read: of all that try,
 * one succeeds. Its lifetime is from now on that of `wanted`.
 *
 * @returns undefined when another one has it, or it is no more.
 */
export async function claimPooled(
  cluster: HandCluster,
  pooled: V1Job,
  wanted: V1Job,
  identity: JobIdentity,
): Promise<V1Job | undefined> {
  let job: V1Job | undefined = pooled;
  for (let tries = 0; tries < TRIES && job !== undefined && isFree(job); tries += 1) {
    const activeDeadlineSeconds = elapsedSeconds(job) + (wanted.spec?.activeDeadlineSeconds ?? 0);
    const change = { metadata: identity, spec: { activeDeadlineSeconds } };
    const claimed = await unlessRefused(GONE_OR_CHANGED, cluster.patchJob(job, change));
    if (claimed !== undefined) return claimed;
    // Its status may have changed since it was read, and nothing else.
    job = await unlessRefused([404], cluster.getJob(job.metadata?.name ?? ''));
  }
  return undefined;
}

function isFree(job: V1Job): boolean {
  return isIdle(job) && job.metadata?.deletionTimestamp === undefined && !hasEnded(job);
}

/** Lifetimes count from the start of the Job. */
function elapsedSeconds({ status, metadata }: V1Job): number {
  const started = status?.startTime ?? metadata?.creationTimestamp;
  if (started === undefined) return 0;
  return Math.max(0, Math.ceil((Date.now() - new Date(started).getTime()) / 1000));
}
