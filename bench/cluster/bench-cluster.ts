import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { V1Job } from '@kubernetes/client-node';
import {
  createKubernetesProvider,
  type KubernetesProvider,
} from '../../activities/hands/kubernetes/kubernetes-provider.ts';
import { readPodState } from '../../activities/hands/kubernetes/pod-state.ts';
import { type ClusterAccess, openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { createHandCluster, type HandCluster } from '../../k8s/hand-cluster.ts';
import { toHandJob } from '../../k8s/hand-job.ts';
import { LABEL, MANAGED_BY, nameJob, type TemporalNamespace } from '../../k8s/hand-labels.ts';
import { toHandRecipe } from '../../k8s/hand-recipe.ts';
import { DEFAULT_ENVIRONMENT, type ResolvedEnvironment } from '../../protocol/environment.ts';
import type { HandInstance, HandName } from '../../protocol/hand.ts';
import { folderUrl, openStore } from '../../store/open-store.ts';
import { clusterInput } from './cluster-input.ts';
import { type ClusterNamespaces, openClusterNamespaces } from './cluster-namespaces.ts';

/** Namespaces of a bench's own, and hands in them by the rights of a worker. Dispose of it. */
export interface BenchCluster extends AsyncDisposable {
  readonly namespaces: ClusterNamespaces;
  readonly access: ClusterAccess;
  readonly cluster: HandCluster;
  readonly provider: KubernetesProvider;
  readonly image: string;
  /** Default: the default environment. */
  provision(environment?: ResolvedEnvironment): Promise<HandInstance>;
  /** Runs `true` on a hand. */
  runTrue(hand: HandInstance): Promise<void>;
  release(hand: HandInstance): Promise<void>;
  /** Deletes what warm pools hold. */
  emptyPools(): Promise<void>;
  /** A Job of the same image that only sleeps, until its container runs. */
  runBareJob(): Promise<{ readonly job: V1Job; readonly ms: number }>;
}

const NEVER = new AbortController().signal;
/** As its activity does when it is first attempted. */
const FIRST = { onWaiting: () => {}, abandoned: NEVER, isFirst: true };

/**
 * @param temporalNamespace Of the sessions whose hands it also makes, if any.
 * @throws MissingInputError without a cluster.
 */
export async function openBenchCluster(
  temporalNamespace: TemporalNamespace = { name: 'bench', id: 'bench' },
): Promise<BenchCluster> {
  const { kubeconfig, image } = clusterInput();
  const namespaces = await openClusterNamespaces({ kubeconfig, prefix: 'drover-bench' });
  const access = await openClusterAccess({
    kubeconfig: namespaces.workerKubeconfig,
    namespace: namespaces.namespace,
  });
  const cluster = createHandCluster(access, temporalNamespace);
  const folder = await mkdtemp(join(tmpdir(), 'drover-bench-store-'));
  const store = await openStore(folderUrl(folder));
  const provider = createKubernetesProvider({ cluster, store, image });
  const byDefault = { id: null, version: null, definition: DEFAULT_ENVIRONMENT };
  return {
    namespaces,
    access,
    cluster,
    provider,
    image,
    async provision(environment = byDefault) {
      const hand = newHand();
      const input = { hand, environment, resources: [] };
      const { instance } = await provider.provision(input, FIRST);
      return { ...hand, provider: 'kubernetes', instance };
    },
    async runTrue(hand) {
      const call = { id: randomUUID(), name: 'bash', input: { command: 'true' } };
      const { is_error } = await provider.execute(
        { hand, session_id: hand.session_id, call },
        { interrupt: NEVER, detach: NEVER, onProgress: () => {} },
      );
      if (is_error) throw new Error('`true` failed');
    },
    async release(hand) {
      await provider.release({ hand, keep_workspace: false });
    },
    async emptyPools() {
      provider.pools.want({ environments: [], isComplete: true });
      const pooled = await cluster.listJobs(`${LABEL.managedBy}=${MANAGED_BY}`);
      await Promise.all(pooled.map((job) => cluster.deleteJob(job)));
    },
    runBareJob: () => runBareJob(cluster, image),
    async [Symbol.asyncDispose]() {
      provider.close();
      access.close();
      await namespaces.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function newHand(): HandName {
  return { session_id: `bench-${randomUUID()}`, chain_id: 'bench', name: 'main', generation: 1 };
}

async function runBareJob(
  cluster: HandCluster,
  image: string,
): Promise<{ readonly job: V1Job; readonly ms: number }> {
  const recipe = toHandRecipe({}, { image, network: 'none' });
  const wanted = nameJob(toHandJob(recipe), `bench-${randomUUID()}`, {
    labels: {},
    annotations: {},
  });
  for (const container of wanted.spec?.template.spec?.containers ?? []) {
    container.command = ['sleep', '1000'];
    container.args = [];
  }
  const start = performance.now();
  const job = await cluster.createJob(wanted);
  const stop = new AbortController();
  for await (const pod of cluster.watchPods(job, stop.signal)) {
    const state = readPodState(pod);
    if (state.type === 'running') return { job, ms: performance.now() - start };
    if (state.type === 'ended') throw new Error(`the bare Job ended: ${state.cause.text}`);
  }
  throw new Error('the watch of the bare Job ended');
}
