import { once } from 'node:events';
import { openExecStream } from '../k8s/connection/exec-stream.ts';
import { HAND_CONTAINER } from '../k8s/hand-job.ts';
import type { HandInstance } from '../protocol/hand.ts';
import { BARE_LOOP_ID, OTHER_QUEUE, startBareLoop } from './baseline/bare-hops.ts';
import { type BenchCluster, openBenchCluster } from './cluster/bench-cluster.ts';
import { startClusterWorker } from './cluster/start-cluster-worker.ts';
import { gapsOn, openTrueSession, trueCaller } from './exec/whole-stack.ts';
import { distributionOf, medianOf, ratio, timed } from './measure.ts';
import { progress, type Report } from './report.ts';
import { startWorld } from './world/world.ts';

const ROUNDS = 100;
const CALLS_PER_ROUND = 5;
const WARM_UP_CALLS = 20;
/** Rounds with calls of a session, and bare activities, among them. */
const EVERY_ROUNDS = 5;
const SESSION_CALLS = 5;
const BARE_UPDATES = 3;

/** `true` through all of the product, through the port of a hand alone, and bare, by turns. */
export async function run(): Promise<Report> {
  await using bench = await openBenchCluster();
  await using world = await startWorld({ player: trueCaller });
  await startClusterWorker(world, bench);
  const hand = await bench.provision();
  const session = await openTrueSession(world, 'exec');
  const loop = await startBareLoop(world);
  try {
    for (let index = 0; index < WARM_UP_CALLS; index += 1) await bench.runTrue(hand);
    await session.run(WARM_UP_CALLS);
    const pod = await podOf(bench, hand);
    const port: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      bare.push((await timed(() => bareExec(bench, pod))).ms);
      for (let call = 0; call < CALLS_PER_ROUND; call += 1) {
        port.push((await timed(() => bench.runTrue(hand))).ms);
      }
      if (round % EVERY_ROUNDS !== 0) continue;
      await session.run(SESSION_CALLS);
      await loop.measure(BARE_UPDATES);
    }
    // The first ones found nothing open, provisioning among them.
    const whole = (await session.callMs()).slice(WARM_UP_CALLS);
    const activity = await gapsOn(world.client, BARE_LOOP_ID, OTHER_QUEUE);
    progress(`port ${medianOf(port)} ms, bare exec ${medianOf(bare)} ms`);
    progress(`whole stack ${medianOf(whole)} ms, bare activity ${medianOf(activity)} ms`);
    return toReport({ port, bare, whole, activity });
  } finally {
    await session.close();
    await bench.release(hand);
  }
}

interface Samples {
  readonly port: readonly number[];
  /** A stream for each. */
  readonly bare: readonly number[];
  readonly whole: readonly number[];
  /** A Temporal activity with nothing in it. */
  readonly activity: readonly number[];
}

function toReport({ port, bare, whole, activity }: Samples): Report {
  return {
    bench: 'exec',
    figures: { port_true_ms: distributionOf(port), session_true_ms: distributionOf(whole) },
    targets: [
      {
        name: 'a call through the port, p50, as a share of a bare exec',
        value: ratio(medianOf(port), medianOf(bare)),
        limit: 1 / 15,
      },
      {
        name: 'a call of a session less one through the port, p50, times a bare activity',
        value: ratio(medianOf(whole) - medianOf(port), medianOf(activity)),
        limit: 1.5,
      },
    ],
    baseline: {
      bare_exec_true_ms: distributionOf(bare),
      bare_activity_ms: distributionOf(activity),
    },
  };
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
