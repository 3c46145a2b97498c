import { openBenchCluster } from './cluster/bench-cluster.ts';
import { distributionOf, medianOf, ratio } from './measure.ts';
import { progress, type Report } from './report.ts';

const SAMPLES = 50;
const PROGRESS_EVERY = 10;

/** From nothing to a hand's first result, against a bare Job of the same image, by turns. */
export async function run(): Promise<Report> {
  await using bench = await openBenchCluster();
  const cold: number[] = [];
  const bare: number[] = [];
  for (let index = -1; index < SAMPLES; index += 1) {
    const start = performance.now();
    const hand = await bench.provision();
    await bench.runTrue(hand);
    const coldMs = performance.now() - start;
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
  return {
    bench: 'sandbox',
    figures: { cold_create_to_first_result_ms: distributionOf(cold) },
    targets: [
      {
        name: 'cold create to first result, p50, times a bare Job until it runs',
        value: ratio(medianOf(cold), medianOf(bare)),
        limit: 1.3,
      },
    ],
    baseline: { bare_job_to_running_ms: distributionOf(bare) },
  };
}
