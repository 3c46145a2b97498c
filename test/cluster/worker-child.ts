import { createKubernetesProvider } from '../../activities/hands/kubernetes/kubernetes-provider.ts';
import { openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { createHandCluster } from '../../k8s/hand-cluster.ts';
import type { ExecuteInput, ProvisionInput } from '../../protocol/hand.ts';
import { TEMPORAL } from './test-temporal.ts';

// A worker's place in tests that kill it: does one thing and prints the outcome.

interface Order {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly image: string;
  readonly provision?: ProvisionInput;
  readonly execute?: ExecuteInput;
}

const order = JSON.parse(process.argv[2] ?? '{}') as Order;
const access = await openClusterAccess(order);
const provider = createKubernetesProvider({
  cluster: createHandCluster(access, TEMPORAL),
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
provider.close();
access.close();
