import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKubernetesProvider } from '../../activities/hands/kubernetes/kubernetes-provider.ts';
import { openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { createHandCluster } from '../../k8s/hand-cluster.ts';
import type { ExecuteInput, ProvisionInput, ReleaseInput } from '../../protocol/hand.ts';
import { folderUrl, openStore } from '../../store/open-store.ts';
import { TEMPORAL } from './test-temporal.ts';

// A worker's place in tests that kill it: does one thing and prints the outcome.

interface Order {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly image: string;
  /** URL. Default: one that is made, should it be used. */
  readonly store?: string;
  readonly provision?: ProvisionInput;
  readonly execute?: ExecuteInput;
  readonly release?: ReleaseInput;
}

const order = JSON.parse(process.argv[2] ?? '{}') as Order;
const access = await openClusterAccess(order);
const provider = createKubernetesProvider({
  cluster: createHandCluster(access, TEMPORAL),
  store: await openStore(order.store ?? folderUrl(join(tmpdir(), 'drover-worker-child'))),
  image: order.image,
});
const never = new AbortController().signal;
if (order.provision !== undefined) {
  console.log(JSON.stringify(await provider.provision(order.provision)));
}
if (order.execute !== undefined) {
  const options = { interrupt: never, detach: never, onProgress: () => {} };
  console.log(JSON.stringify(await provider.execute(order.execute, options)));
}
if (order.release !== undefined) {
  const result = await provider.release(order.release);
  const { maxRSS: max_rss_kib } = process.resourceUsage();
  console.log(JSON.stringify({ result, max_rss_kib }));
}
provider.close();
access.close();
