import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { ApplicationFailure } from '@temporalio/common';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import { type JobIdentity, LABEL } from '../../../k8s/hand-labels.ts';
import {
  idleSelector,
  isIdle,
  isKeptBy,
  keeperSelector,
  poolOf,
  toPoolJob,
} from '../../../k8s/pool-job.ts';
import type { EnvironmentDefinition, ResolvedEnvironment } from '../../../protocol/environment.ts';
import type { RegisteredEnvironments } from '../../registry/registered-environments.ts';
import { claimPooled } from './claim-pooled.ts';
import { deleteUnchangedJob } from './delete-unchanged-job.ts';
import type { HandStreams } from './hand-streams.ts';
import { planPool } from './plan-pool.ts';
import { createPoolHolds, type PoolHolds } from './pool-holds.ts';
import { unlessRefused } from './unless-refused.ts';

/** Idle Jobs, held ready for sessions to come, of the environments of one task queue. */
export interface WarmPools {
  /** What is registered now, for the next round. While that is not known whole, no pool is unwanted. */
  want(registered: RegisteredEnvironments): void;
  /**
   * One round: fills each pool, replaces what ended or is near its end, and opens streams to what
   * runs. Rounds of several workers side by side make no Job twice.
   *
   * @throws when a pool could not be kept; the others are.
   */
  keep(): Promise<void>;
  /** Takes an idle Job of the environment's pool and makes it that of `identity`. */
  claim(
    environment: ResolvedEnvironment,
    wanted: V1Job,
    identity: JobIdentity,
  ): Promise<V1Job | undefined>;
  /** Of a claimed Job whose daemon has answered. */
  podOf(job: V1Job): V1Pod | undefined;
  /** Jobs whose daemon has answered, by the latest round. */
  readyCount(): number;
  /** For the sweeper. */
  whyUnwanted(pooled: V1Job): string | undefined;
}

export interface WarmPoolsOptions {
  readonly cluster: HandCluster;
  readonly streams: HandStreams;
  readonly taskQueue: string;
  /** @throws when the environment cannot have hands here. */
  toJob(definition: EnvironmentDefinition): V1Job;
}

interface Pool {
  readonly size: number;
  readonly template: V1Job;
}

const REFILL_AFTER_MS = 200;
const FIRST_RETRY_MS = 5_000;
const MAX_RETRY_MS = 5 * 60_000;

export function createWarmPools(options: WarmPoolsOptions): WarmPools {
  return new KeptPools(options);
}

class KeptPools implements WarmPools {
  readonly #options: WarmPoolsOptions;
  readonly #cluster: HandCluster;
  readonly #keeper;
  readonly #holds: PoolHolds;
  /** The registry was read whole, the last time. */
  #known = false;
  #pools: ReadonlyMap<string, Pool> = new Map();
  #usable: readonly V1Job[] = [];
  /** Pools whose Jobs die at once. */
  readonly #failing = new Map<string, { readonly waitMs: number; readonly until: number }>();

  constructor(options: WarmPoolsOptions) {
    const { cluster, streams, taskQueue } = options;
    this.#options = options;
    this.#cluster = cluster;
    this.#keeper = { temporal: cluster.temporalNamespace, taskQueue };
    this.#holds = createPoolHolds(cluster, streams);
  }

  want({ environments, isComplete }: RegisteredEnvironments): void {
    const pools = new Map(isComplete ? [] : this.#pools);
    const fresh = new Map<string, Pool>();
    for (const { definition } of environments) {
      const size = definition.config?.warm_pool_size ?? 0;
      if (size === 0 || definition.task_queue !== this.#options.taskQueue) continue;
      if (definition.provider !== 'kubernetes') continue;
      const template = this.#templateOf(definition);
      if (template === undefined) continue;
      const pool = poolOf(this.#keeper, template);
      // Environments that are made alike share a pool.
      fresh.set(pool, { template, size: size + (fresh.get(pool)?.size ?? 0) });
    }
    for (const [pool, wanted] of fresh) pools.set(pool, wanted);
    this.#pools = pools;
    this.#known = isComplete;
  }

  async keep(): Promise<void> {
    if (this.#pools.size === 0 && this.#usable.length === 0) return;
    const jobs = await this.#cluster.listJobs(keeperSelector(this.#keeper));
    const rounds = await Promise.allSettled(
      [...this.#pools].map(([pool, wanted]) => {
        const made = jobs.filter(({ metadata }) => metadata?.labels?.[LABEL.pool] === pool);
        return this.#keepPool(pool, wanted, made);
      }),
    );
    const kept = rounds.flatMap((round) => (round.status === 'fulfilled' ? round.value : []));
    this.#usable = kept;
    await this.#holds.refresh(kept);
    const failed = rounds.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  async claim(
    { id, definition }: ResolvedEnvironment,
    wanted: V1Job,
    identity: JobIdentity,
  ): Promise<V1Job | undefined> {
    if (id === null || (definition.config?.warm_pool_size ?? 0) === 0) return undefined;
    const pool = poolOf(this.#keeper, wanted);
    const claimed =
      (await this.#claimHeld(pool, wanted, identity)) ??
      (await this.#claimListed(pool, wanted, identity));
    if (claimed !== undefined) this.#refill(pool, claimed);
    return claimed;
  }

  podOf(job: V1Job): V1Pod | undefined {
    return this.#holds.podOf(job);
  }

  readyCount(): number {
    return this.#usable.filter((job) => this.#holds.isReady(job)).length;
  }

  whyUnwanted(pooled: V1Job): string | undefined {
    const pool = pooled.metadata?.labels?.[LABEL.pool];
    if (!this.#known || !isKeptBy(this.#keeper, pooled)) return undefined;
    if (pool === undefined || this.#pools.has(pool)) return undefined;
    return `no registered environment of task queue ${this.#options.taskQueue} wants its pool`;
  }

  /** Undefined: refused, which a session that asks for a hand is told in words. */
  #templateOf(definition: EnvironmentDefinition): V1Job | undefined {
    try {
      return this.#options.toJob(definition);
    } catch (error) {
      if (error instanceof ApplicationFailure) return undefined;
      throw error;
    }
  }

  /** @returns the Jobs that can be claimed. */
  async #keepPool(pool: string, wanted: Pool, made: readonly V1Job[]): Promise<readonly V1Job[]> {
    const alive = made.filter((job) => this.#holds.whyDead(job) === undefined);
    const dead = made.filter(
      (job) => isIdle(job) && !alive.includes(job) && job.metadata?.deletionTimestamp === undefined,
    );
    const plan = planPool(alive, wanted.size, Date.now());
    for (const job of [...dead, ...plan.remove]) {
      await deleteUnchangedJob(this.#cluster, job);
    }
    if (plan.usable.some((job) => this.#holds.isReady(job))) this.#failing.delete(pool);
    // One that has worked is replaced at once; the next one of a kind that never did may wait.
    const stillborn = dead.find((job) => !this.#holds.hasAnswered(job));
    if (stillborn !== undefined) this.#postpone(pool, this.#holds.whyDead(stillborn) ?? '');
    if ((this.#failing.get(pool)?.until ?? 0) > performance.now()) return plan.usable;
    for (const seed of plan.seeds) {
      const job = toPoolJob(this.#keeper, wanted.template, seed);
      await unlessRefused([409], this.#cluster.createJob(job));
    }
    return plan.usable;
  }

  #postpone(pool: string, why: string): never {
    const { waitMs = FIRST_RETRY_MS / 2 } = this.#failing.get(pool) ?? {};
    const next = Math.min(waitMs * 2, MAX_RETRY_MS);
    this.#failing.set(pool, { waitMs: next, until: performance.now() + next });
    throw new Error(`a pooled Job died (${why}); the next one is made in ${next / 1000} s`);
  }

  async #claimHeld(pool: string, wanted: V1Job, identity: JobIdentity): Promise<V1Job | undefined> {
    const isOfPool = ({ metadata }: V1Job): boolean => metadata?.labels?.[LABEL.pool] === pool;
    for (;;) {
      const job = this.#holds.take(isOfPool);
      if (job === undefined) return undefined;
      const claimed = await claimPooled(this.#cluster, job, wanted, identity);
      if (claimed !== undefined) return claimed;
    }
  }

  /** What others have made since the last round, or hold as well. */
  async #claimListed(
    pool: string,
    wanted: V1Job,
    identity: JobIdentity,
  ): Promise<V1Job | undefined> {
    const listed = await this.#cluster.listJobs(idleSelector(this.#keeper, pool));
    const { usable } = planPool(listed, listed.length, Date.now());
    const start = Math.floor(Math.random() * usable.length);
    for (const job of [...usable.slice(start), ...usable.slice(0, start)]) {
      if (this.#holds.whyDead(job) !== undefined) continue;
      const claimed = await claimPooled(this.#cluster, job, wanted, identity);
      if (claimed !== undefined) return claimed;
    }
    return undefined;
  }

  /**
   * Once the claimed hand has had time for its first call, which the start of a pod would be in the
   * way of; should that fail, the next round sees to it.
   */
  #refill(pool: string, claimed: V1Job): void {
    const template = this.#pools.get(pool)?.template;
    if (template === undefined) return;
    const next = toPoolJob(this.#keeper, template, ['after', claimed.metadata?.uid ?? '']);
    const create = (): void => void this.#cluster.createJob(next).catch(() => {});
    setTimeout(create, REFILL_AFTER_MS).unref();
  }
}
