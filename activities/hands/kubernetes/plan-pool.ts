import type { V1Job } from '@kubernetes/client-node';
import { isIdle, POOLED_LIFETIME_SECONDS } from '../../../k8s/pool-job.ts';
import { hasEnded } from './has-ended.ts';

export interface PoolPlan {
  /** Idle Jobs that can be claimed. */
  readonly usable: readonly V1Job[];
  /** Idle ones that ended, are near their end, or are too many. */
  readonly remove: readonly V1Job[];
  /** Of the Jobs to make. Keepers that see the same pool plan the same Jobs, so each is made once. */
  readonly seeds: readonly (readonly string[])[];
}

/** A Job that is older is replaced, so that none ends as it is claimed. */
const MAX_AGE_MS = POOLED_LIFETIME_SECONDS * 800;

/** @param jobs Every Job that was made for the pool and is there still, claimed ones too. */
export function planPool(jobs: readonly V1Job[], size: number, nowMs: number): PoolPlan {
  const idle = jobs
    .filter((job) => isIdle(job) && job.metadata?.deletionTimestamp === undefined)
    .sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1));
  const fit = idle.filter((job) => !hasEnded(job) && ageMs(job, nowMs) < MAX_AGE_MS);
  const usable = fit.slice(0, size);
  const present = jobs.map(({ metadata }) => metadata?.uid ?? '').sort();
  const missing = Math.max(0, size - usable.length);
  return {
    usable,
    remove: idle.filter((job) => !usable.includes(job)),
    seeds: Array.from({ length: missing }, (_, index) => ['fill', ...present, String(index)]),
  };
}

function ageMs({ metadata }: V1Job, nowMs: number): number {
  // Of JSON it is text, whatever the type says.
  return nowMs - new Date(metadata?.creationTimestamp ?? nowMs).getTime();
}

function nameOf({ metadata }: V1Job): string {
  return metadata?.name ?? '';
}
