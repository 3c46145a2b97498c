import { dirname, join } from 'node:path';
import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { createContainerProvider } from '../activities/hands/container/container-provider.ts';
import { createKubernetesProvider } from '../activities/hands/kubernetes/kubernetes-provider.ts';
import { repeat } from '../activities/hands/kubernetes/repeat.ts';
import { createSessionChains } from '../activities/hands/kubernetes/session-chains.ts';
import { createLocalProvider } from '../activities/hands/local/local-provider.ts';
import type { HandProvider } from '../activities/hands/provider.ts';
import type { PayloadKeys } from '../codec/payload-codec.ts';
import { openKeysPath, readAuthorityCertificate } from '../egress/authority-file.ts';
import { readKeys } from '../egress/keys.ts';
import { openClusterAccess } from '../k8s/connection/cluster-access.ts';
import { createHandCluster } from '../k8s/hand-cluster.ts';
import type { TemporalNamespace } from '../k8s/hand-labels.ts';
import { createClientConverter } from './data-converter.ts';
import type { WorkerEnvironment } from './env.ts';
import { keepHands } from './keep-hands.ts';
import { createStoreOpener, openVerifiedStore } from './open-verified-store.ts';

const SWEEP_MS = 30_000;

interface TemporalAccess {
  readonly connection: NativeConnection;
  readonly temporalNamespace: TemporalNamespace;
  readonly keys: PayloadKeys;
}

/**
 * Every kind of hand that this worker can make: local ones, and those of a cluster where the
 * environment names one; or, where it names a folder for them, those in containers alone.
 *
 * @param closing Gets what must be closed after the last call.
 */
export async function createHandProviders(
  environment: WorkerEnvironment,
  access: TemporalAccess,
  closing: AsyncDisposableStack,
): Promise<Readonly<Record<string, HandProvider>>> {
  const { stateFolder, isolation, handsTaskQueue, kubernetes, store: storeUrl } = environment;
  const { connection, temporalNamespace, keys } = access;
  if (environment.containerDoors !== null) {
    const container = await createContainers(environment, access, closing);
    // The default: in a worker's own container nothing can be isolated.
    return { local: container, container };
  }
  const gateway = gatewayKeys(openKeysPath(environment.egress));
  const local = createLocalProvider({
    stateFolder,
    isolation,
    gateway,
    files: { openStore: createStoreOpener(storeUrl), namespaceId: temporalNamespace.id },
    secretPaths: secretPathsOf(environment),
  });
  closing.defer(() => local.close());
  if (kubernetes === null) return { local };
  const { kubeconfig, namespace, sandboxImage, carriedBy, egress } = kubernetes;
  const clusterAccess = await openClusterAccess({ kubeconfig, namespace });
  closing.defer(() => clusterAccess.close());
  const cluster = createHandCluster(clusterAccess, temporalNamespace);
  const provider = createKubernetesProvider({
    cluster,
    taskQueue: handsTaskQueue,
    store: await openVerifiedStore(storeUrl),
    image: sandboxImage,
    ...(egress === null ? {} : { egress: { proxy: egress.proxy, ...gateway } }),
    carriedBy,
  });
  closing.defer(() => provider.close());
  keepHands({ connection, keys, cluster, pools: provider.pools }, closing);
  return { local, kubernetes: provider };
}

/** A sandbox on this machine is of the same user: what only that user may read it could read too. */
function secretPathsOf({ vault: { backend }, egress, payloadKeys }: WorkerEnvironment): string[] {
  const ofVault =
    backend.type === 'folder'
      ? [backend.folder, ...(backend.key.type === 'file' ? [backend.key.path] : [])]
      : [];
  const keysPath = openKeysPath(egress);
  const ofGateway = [keysPath, join(dirname(keysPath), 'ca.key')];
  return [...ofVault, ...ofGateway, ...(payloadKeys === null ? [] : [payloadKeys])];
}

/** Read for each hand: they may change. */
function gatewayKeys(keysPath: string) {
  return {
    readKeys: () => readKeys(keysPath),
    readCertificate: () => readAuthorityCertificate(keysPath),
  };
}

async function createContainers(
  { containerDoors, stateFolder, store, egress }: WorkerEnvironment,
  { connection, temporalNamespace, keys }: TemporalAccess,
  closing: AsyncDisposableStack,
): Promise<HandProvider> {
  const container = await createContainerProvider({
    doors: containerDoors ?? '',
    claims: join(stateFolder, 'claims'),
    temporalNamespace,
    store: await openVerifiedStore(store),
    gateway: gatewayKeys(openKeysPath(egress)),
  });
  closing.defer(() => container.close());
  const dataConverter = createClientConverter(keys);
  const client = new Client({ connection, namespace: temporalNamespace.name, dataConverter });
  const chains = createSessionChains(client, temporalNamespace);
  const sweeping = repeat(() => container.sweep(chains), {
    intervalMs: SWEEP_MS,
    onFailure(error) {
      const words = error instanceof Error ? error.message : String(error);
      console.warn(`drover worker: warning: hands of ended sessions were not ended: ${words}`);
    },
  });
  closing.defer(() => sweeping.stop());
  return container;
}
