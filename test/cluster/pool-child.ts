import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { createKubernetesProvider } from '../../activities/hands/kubernetes/kubernetes-provider.ts';
import { openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { createHandCluster } from '../../k8s/hand-cluster.ts';
import type { ProvisionInput } from '../../protocol/hand.ts';
import { folderUrl, openStore } from '../../store/open-store.ts';
import { TEMPORAL } from './test-temporal.ts';

// A worker that keeps pools, in a process of its own: makes all hands that it is told of, at once,
// and prints their instances.

interface Order {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly image: string;
  readonly inputs: readonly ProvisionInput[];
  /** Pools are kept, by rounds of this length, while hands are made. */
  readonly keepMs: number;
}

const order = JSON.parse(process.argv[2] ?? '{}') as Order;
const access = await openClusterAccess(order);
const provider = createKubernetesProvider({
  cluster: createHandCluster(access, TEMPORAL),
  store: await openStore(folderUrl(join(tmpdir(), 'drover-pool-child'))),
  image: order.image,
});
const environments = order.inputs.map(({ environment }) => environment).slice(0, 1);
provider.pools.want({ environments, isComplete: true });
await provider.pools.keep();
const keeping = setInterval(() => void provider.pools.keep().catch(() => {}), order.keepMs);
console.log('ready');
await new Promise((resolve) => process.stdin.once('data', resolve));
const made = await Promise.all(
  order.inputs.map(async (input) => {
    return { session: input.hand.session_id, instance: await provision(input) };
  }),
);

clearInterval(keeping);
console.log(JSON.stringify(made));
process.exit(0);

/** As Temporal does: what may pass is tried again. */
async function provision(input: ProvisionInput): Promise<string> {
  for (;;) {
    try {
      return (await provider.provision(input)).instance;
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || error.nonRetryable === true) throw error;
      console.error(`tried again: ${error.message}`);
    }
  }
}
