import type { V1Job } from '@kubernetes/client-node';
import {
  ANNOTATION,
  digest,
  LABEL,
  nameJob,
  namespaceLabels,
  type TemporalNamespace,
  toSelector,
} from './hand-labels.ts';

/** A Job that nobody has claimed ends after this time; a claim gives it its hand's lifetime. */
export const POOLED_LIFETIME_SECONDS = 6 * 3600;

/** Whose workers keep a pool, and for which sessions. */
export interface PoolKeeper {
  readonly temporal: TemporalNamespace;
  readonly taskQueue: string;
}

/** The pool of all Jobs made as this one is. */
export function poolOf(keeper: PoolKeeper, job: V1Job): string {
  return digest(
    JSON.stringify([keeper.taskQueue, job.metadata?.annotations?.[ANNOTATION.specHash]]),
  );
}

/** Selects all Jobs that were made for pools of this keeper, claimed ones too. */
export function keeperSelector(keeper: PoolKeeper): string {
  return toSelector(keeperLabels(keeper));
}

/** Whether the Job was made for a pool of this keeper's task queue. */
export function isKeptBy({ taskQueue }: PoolKeeper, { metadata }: V1Job): boolean {
  return metadata?.labels?.[LABEL.taskQueue] === digest(taskQueue);
}

/** Selects the Jobs of a pool that nobody has claimed. */
export function idleSelector(keeper: PoolKeeper, pool: string): string {
  return `${toSelector({ ...keeperLabels(keeper), [LABEL.pool]: pool })},!${LABEL.hand}`;
}

export function isIdle({ metadata }: V1Job): boolean {
  const { labels = {} } = metadata ?? {};
  return labels[LABEL.pool] !== undefined && labels[LABEL.hand] === undefined;
}

/** @param seed Two Jobs of one pool from the same seed have the same name, so only one is made. */
export function toPoolJob(keeper: PoolKeeper, job: V1Job, seed: readonly string[]): V1Job {
  const pool = poolOf(keeper, job);
  const name = `drover-pool-${digest(JSON.stringify([keeper.temporal.id, pool, seed]))}`;
  const labels = { ...keeperLabels(keeper), [LABEL.pool]: pool };
  const named = nameJob(job, name, {
    labels,
    annotations: { [ANNOTATION.temporalNamespace]: keeper.temporal.name },
  });
  const { spec } = named;
  if (spec === undefined) throw new TypeError('a Job without a spec');
  return { ...named, spec: { ...spec, activeDeadlineSeconds: POOLED_LIFETIME_SECONDS } };
}

function keeperLabels({ temporal, taskQueue }: PoolKeeper): Readonly<Record<string, string>> {
  return { ...namespaceLabels(temporal), [LABEL.taskQueue]: digest(taskQueue) };
}
