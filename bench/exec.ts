import { once } from 'node:events';
import { openExecStream } from '../k8s/connection/exec-stream.ts';
import { HAND_CONTAINER } from '../k8s/hand-job.ts';
import type { HandInstance } from '../protocol/hand.ts';
import { type BenchCluster, openBenchCluster } from './cluster/bench-cluster.ts';
import { distributionOf, medianOf, ratio, timed } from './measure.ts';
import { progress, type Report } from './report.ts';

const ROUNDS = 100;
const CALLS_PER_ROUND = 5;
const WARM_UP_CALLS = 20;

/** One `true` through the port of a hand, journal and all, against a bare exec, by turns. */
export async function run(): Promise<Report> {
  await using bench = await openBenchCluster();
  const hand = await bench.provision();
  try {
    for (let index = 0; index < WARM_UP_CALLS; index += 1) await bench.runTrue(hand);
    const pod = await podOf(bench, hand);
    const port: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      bare.push((await timed(() => bareExec(bench, pod))).ms);
      for (let call = 0; call < CALLS_PER_ROUND; call += 1) {
        port.push((await timed(() => bench.runTrue(hand))).ms);
      }
    }
    progress(`port ${medianOf(port)} ms, bare exec ${medianOf(bare)} ms`);
    return {
      bench: 'exec',
      figures: { port_true_ms: distributionOf(port) },
      targets: [
        {
          name: 'a call through the port, p50, as a share of a bare exec',
          value: ratio(medianOf(port), medianOf(bare)),
          limit: 1 / 15,
        },
      ],
      baseline: { bare_exec_true_ms: distributionOf(bare) },
    };
  } finally {
    await bench.release(hand);
  }
}

async function podOf(bench: BenchCluster, hand: HandInstance): Promise<string> {
  const pods = await bench.cluster.listPods(await bench.cluster.listJobsOf(hand));
  const name = pods.find(({ metadata }) => metadata?.uid === hand.instance)?.metadata?.name;
  if (name === undefined) throw new Error('the hand has no pod');
  return name;
}

/** What a call costs without a standing stream: a stream of its own, until the command has ended. */
async function bareExec({ access }: BenchCluster, pod: string): Promise<void> {
  const stream = await openExecStream(access, {
    namespace: access.namespace,
    pod,
    container: HAND_CONTAINER,
    command: ['true'],
  });
  // It ends with the status of the command, which the stream tells as an error.
  stream.on('error', () => {});
  stream.resume();
  if (!stream.closed) await once(stream, 'close').catch(() => {});
}
