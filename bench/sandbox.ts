import { setTimeout as delay } from 'node:timers/promises';
import {
  DEFAULT_ENVIRONMENT,
  EnvironmentDefinition,
  type ResolvedEnvironment,
} from '../protocol/environment.ts';
import type { HandInstance } from '../protocol/hand.ts';
import { type BenchCluster, openBenchCluster } from './cluster/bench-cluster.ts';
import { withDeadline } from './deadline.ts';
import { distributionOf, medianOf, ratio, timed } from './measure.ts';
import { progress, type Report } from './report.ts';

const SAMPLES = 50;
const PROGRESS_EVERY = 10;
const POOL_SIZE = 3;
const KEEP_MS = 100;
const DEFAULT: ResolvedEnvironment = { id: null, version: null, definition: DEFAULT_ENVIRONMENT };
const POOLED: ResolvedEnvironment = {
  id: 'pooled',
  version: 1,
  definition: EnvironmentDefinition.parse({
    provider: 'kubernetes',
    config: { memory_mib: 256, warm_pool_size: POOL_SIZE },
  }),
};
const FILL_TIMEOUT_MS = 60_000;

/** From nothing, and from a warm pool, to a hand's first result; and a bare Job of the same image. */
export async function run(): Promise<Report> {
  await using bench = await openBenchCluster();
  const samples: Samples = { cold: [], bare: [], warm: [] };
  await measureCold(bench, samples);
  await measureWarm(bench, samples);
  return toReport(samples);
}

interface Samples {
  readonly cold: number[];
  /** Of a Job, until its container runs. */
  readonly bare: number[];
  readonly warm: number[];
}

/** By turns, each until nothing of the one before is in the way. */
async function measureCold(bench: BenchCluster, { cold, bare }: Samples): Promise<void> {
  for (let index = -1; index < SAMPLES; index += 1) {
    const { ms: coldMs, hand } = await firstResult(bench, DEFAULT);
    await bench.release(hand);
    const { job, ms } = await bench.runBareJob();
    await bench.cluster.deleteJob(job);
    // The first of each finds nothing open.
    if (index < 0) continue;
    cold.push(coldMs);
    bare.push(ms);
    if (cold.length % PROGRESS_EVERY === 0) {
      progress(`${cold.length} hands: ${medianOf(cold)} ms (bare Job ${medianOf(bare)} ms)`);
    }
  }
}

/** A worker keeps the pool full between claims, as it does for sessions that come now and then. */
async function measureWarm(bench: BenchCluster, { warm }: Samples): Promise<void> {
  const { pools } = bench.provider;
  pools.want({ environments: [POOLED], isComplete: true });
  try {
    for (let index = -1; index < SAMPLES; index += 1) {
      await withDeadline(fill(bench), FILL_TIMEOUT_MS, 'full pool');
      const { ms, hand } = await firstResult(bench, POOLED);
      if (index >= 0) warm.push(ms);
      await bench.release(hand);
      if (warm.length % PROGRESS_EVERY === 0) progress(`${warm.length} claims: ${ms} ms`);
    }
  } finally {
    await bench.emptyPools();
  }
}

async function fill({ provider }: BenchCluster): Promise<void> {
  // What is ready is known by the latest round: of before the last claim, without another.
  await provider.pools.keep();
  while (provider.pools.readyCount() < POOL_SIZE) {
    await delay(KEEP_MS);
    await provider.pools.keep();
  }
}

async function firstResult(
  bench: BenchCluster,
  environment: ResolvedEnvironment,
): Promise<{ readonly ms: number; readonly hand: HandInstance }> {
  const { ms, result: hand } = await timed(async () => {
    const made = await bench.provision(environment);
    await bench.runTrue(made);
    return made;
  });
  return { ms, hand };
}

function toReport({ cold, bare, warm }: Samples): Report {
  return {
    bench: 'sandbox',
    figures: {
      cold_create_to_first_result_ms: distributionOf(cold),
      warm_claim_to_first_result_ms: distributionOf(warm),
    },
    targets: [
      {
        name: 'cold create to first result, p50, times a bare Job until it runs',
        value: ratio(medianOf(cold), medianOf(bare)),
        limit: 1.3,
      },
      { name: 'warm claim to first result, p50, ms', value: medianOf(warm), limit: 50 },
    ],
    baseline: { bare_job_to_running_ms: distributionOf(bare) },
  };
}
