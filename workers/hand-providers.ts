import type { NativeConnection } from '@temporalio/worker';
import { createKubernetesProvider } from '../activities/hands/kubernetes/kubernetes-provider.ts';
import { createLocalProvider } from '../activities/hands/local/local-provider.ts';
import type { HandProvider } from '../activities/hands/provider.ts';
import type { PayloadKeys } from '../codec/payload-codec.ts';
import { readKeys } from '../egress/keys.ts';
import { openClusterAccess } from '../k8s/connection/cluster-access.ts';
import { createHandCluster } from '../k8s/hand-cluster.ts';
import type { TemporalNamespace } from '../k8s/hand-labels.ts';
import type { WorkerEnvironment } from './env.ts';
import { keepHands } from './keep-hands.ts';
import { openVerifiedStore } from './open-verified-store.ts';

interface TemporalAccess {
  readonly connection: NativeConnection;
  readonly temporalNamespace: TemporalNamespace;
  readonly keys: PayloadKeys;
}

/**
 * Every kind of hand that this worker can make: local ones, and those of a cluster where the
 * environment names one.
 *
 * @param closing Gets what must be closed after the last call.
 */
export async function createHandProviders(
  { stateFolder, isolation, handsTaskQueue, kubernetes, store: storeUrl }: WorkerEnvironment,
  { connection, temporalNamespace, keys }: TemporalAccess,
  closing: AsyncDisposableStack,
): Promise<Readonly<Record<string, HandProvider>>> {
  const local = createLocalProvider({ stateFolder, isolation });
  closing.defer(() => local.close());
  if (kubernetes === null) return { local };
  const { kubeconfig, namespace, sandboxImage, carriedBy, egress } = kubernetes;
  const access = await openClusterAccess({ kubeconfig, namespace });
  closing.defer(() => access.close());
  const cluster = createHandCluster(access, temporalNamespace);
  const provider = createKubernetesProvider({
    cluster,
    taskQueue: handsTaskQueue,
    store: await openVerifiedStore(storeUrl),
    image: sandboxImage,
    ...(egress === null
      ? {}
      : { egress: { proxy: egress.proxy, readKeys: () => readKeys(egress.keysPath) } }),
    carriedBy,
  });
  closing.defer(() => provider.close());
  keepHands({ connection, keys, cluster, pools: provider.pools }, closing);
  return { local, kubernetes: provider };
}
