import { acquireJob } from '../../activities/hands/kubernetes/acquire-job.ts';
import { NoPodError } from '../../activities/hands/kubernetes/await-pod.ts';
import { createHandStreams } from '../../activities/hands/kubernetes/hand-streams.ts';
import { createWarmPools } from '../../activities/hands/kubernetes/warm-pools.ts';
import { openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { ClusterError } from '../../k8s/connection/cluster-error.ts';
import { createHandCluster } from '../../k8s/hand-cluster.ts';
import { toHandJob } from '../../k8s/hand-job.ts';
import { toHandRecipe } from '../../k8s/hand-recipe.ts';
import type { ResolvedEnvironment } from '../../protocol/environment.ts';
import type { HandName } from '../../protocol/hand.ts';
import { TEMPORAL } from './test-temporal.ts';

// A worker that keeps a pool, in a process of its own: gets a Job for each hand that it is told of,
// all at once, and prints what it got. It waits for no pod.

interface Order {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly image: string;
  readonly environment: ResolvedEnvironment;
  readonly hands: readonly HandName[];
}

const KEEP_MS = 200;

const order = JSON.parse(process.argv[2] ?? '{}') as Order;
const { environment } = order;
const { config = {}, task_queue: taskQueue } = environment.definition;
const wanted = toHandJob(toHandRecipe(config, { image: order.image, network: 'none' }));
const cluster = createHandCluster(await openClusterAccess(order), TEMPORAL);
const streams = createHandStreams(cluster, {});
const pools = createWarmPools({ cluster, streams, taskQueue, toJob: () => wanted });
pools.want({ environments: [environment], isComplete: true });
await pools.keep();
const keeping = setInterval(() => void pools.keep().catch(() => {}), KEEP_MS);
console.log('ready');
await new Promise((resolve) => process.stdin.once('data', resolve));
const got = await Promise.all(
  order.hands.map(async (hand) => ({ session: hand.session_id, job: await acquire(hand) })),
);
clearInterval(keeping);
console.log(JSON.stringify(got));
process.exit(0);

/** As Temporal does: what may pass is tried again. */
async function acquire(hand: HandName): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const job = await acquireJob(cluster, hand, wanted, {
        claim: (identity) => pools.claim(environment, wanted, identity),
        isFirst: attempt === 1,
      });
      return job.metadata?.uid ?? '';
    } catch (error) {
      const isPassing =
        error instanceof NoPodError ? error.reason.isPassing : error instanceof ClusterError;
      if (!isPassing) throw error;
    }
  }
}
