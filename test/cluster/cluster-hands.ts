import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { afterAll, afterEach } from 'vitest';
import {
  createKubernetesProvider,
  type KubernetesProvider,
  type KubernetesProviderOptions,
} from '../../activities/hands/kubernetes/kubernetes-provider.ts';
import type { ExecuteOptions, ExecuteOutcome } from '../../activities/hands/provider.ts';
import { openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { createHandCluster, type HandCluster } from '../../k8s/hand-cluster.ts';
import { handSelector, podSelector } from '../../k8s/hand-labels.ts';
import { EnvironmentDefinition, type EnvironmentInput } from '../../protocol/environment.ts';
import type { HandInstance, HandName, ProvisionInput, ToolCall } from '../../protocol/hand.ts';
import { folderUrl, openStore } from '../../store/open-store.ts';
import { SANDBOX_IMAGE, type TestCluster } from './test-cluster.ts';
import { TEMPORAL } from './test-temporal.ts';

export interface ClusterHands {
  /** Pods of a hand, as the administrator sees them. */
  podsOf(hand: HandName): Promise<readonly V1Pod[]>;
  /** A worker, with the rights that the shipped Role gives. */
  worker(options?: WorkerOptions): Promise<KubernetesProvider>;
  provision(options?: ProvisionInputOptions): Promise<TestHand>;
  make(provider: KubernetesProvider, input: ProvisionInput): Promise<TestHand>;
  /** Releases, after the test, a hand that was provisioned in another way. */
  releaseLater(instance: HandInstance): void;
}

export interface WorkerOptions extends Partial<Omit<KubernetesProviderOptions, 'cluster'>> {
  readonly namespace?: string;
  readonly kubeconfig?: string;
  /** Stands between the worker and the cluster. */
  readonly through?: (cluster: HandCluster) => HandCluster;
}

export interface ProvisionInputOptions {
  readonly session?: string;
  readonly name?: string;
  readonly generation?: number;
  readonly environment?: EnvironmentInput;
}

export interface TestHand {
  readonly instance: HandInstance;
  run(name: string, input: ToolCall['input'], options?: RunOptions): Promise<Said>;
  bash(command: string, options?: RunOptions & { timeout_ms?: number }): Promise<Said>;
}

export interface RunOptions extends Partial<ExecuteOptions> {
  readonly id?: string;
  readonly provider?: KubernetesProvider;
}

export interface Said {
  readonly text: string;
  readonly is_error: boolean;
  readonly lost?: true;
}

/** Hands in the suite's cluster, released after each test; that none is left, the suite checks. */
export function useClusterHands(cluster: () => TestCluster): ClusterHands {
  const opened: KubernetesProvider[] = [];
  const provisioned: HandInstance[] = [];
  const closers: (() => void)[] = [];
  const stores = join(tmpdir(), `drover-hands-store-${crypto.randomUUID()}`);
  afterAll(() => rmSync(stores, { recursive: true, force: true }));
  const worker: ClusterHands['worker'] = async (given = {}) => {
    const { namespace, kubeconfig, through, ...options } = given;
    const { workerKubeconfig, namespace: own } = cluster();
    const access = await openClusterAccess({
      kubeconfig: kubeconfig ?? workerKubeconfig,
      namespace: namespace ?? own,
    });
    const hands = createHandCluster(access, TEMPORAL);
    const provider = createKubernetesProvider({
      image: SANDBOX_IMAGE,
      startMs: 60_000,
      // There is no second attempt, as a session would have.
      answerMs: 60_000,
      store: await openStore(folderUrl(stores)),
      ...options,
      cluster: through === undefined ? hands : through(hands),
    });
    opened.push(provider);
    closers.push(() => access.close());
    return provider;
  };
  afterEach(async () => {
    const cleaner = await worker();
    await Promise.all(
      provisioned.splice(0).map((hand) => cleaner.release({ hand, keep_workspace: false })),
    );
    for (const provider of opened.splice(0)) provider.close();
    for (const close of closers.splice(0)) close();
  });
  const make: ClusterHands['make'] = async (provider, input) => {
    const { instance } = await provider.provision(input);
    const hand: HandInstance = { ...input.hand, provider: 'kubernetes', instance };
    provisioned.push(hand);
    return toTestHand(provider, hand);
  };
  return {
    worker,
    make,
    async podsOf(hand) {
      const { admin, namespace } = cluster();
      type List<T> = { readonly items: readonly T[] };
      const { items: jobs } = await admin.get<List<V1Job>>(
        `/apis/batch/v1/namespaces/${namespace}/jobs`,
        { labelSelector: handSelector(TEMPORAL, hand) },
      );
      const pods = `/api/v1/namespaces/${namespace}/pods`;
      return (await admin.get<List<V1Pod>>(pods, { labelSelector: podSelector(jobs) })).items;
    },
    releaseLater: (instance) => void provisioned.push(instance),
    provision: async (options = {}) => make(await worker(), toProvisionInput(options)),
  };
}

export function toProvisionInput(options: ProvisionInputOptions = {}): ProvisionInput {
  const { session = crypto.randomUUID(), name = 'main', generation = 1, environment } = options;
  const definition = EnvironmentDefinition.parse({ provider: 'kubernetes', ...environment });
  return {
    hand: { session_id: session, chain_id: 'chain', name, generation },
    environment: { id: null, version: null, definition },
    resources: [],
  };
}

export function toTestHand(provider: KubernetesProvider, instance: HandInstance): TestHand {
  const run: TestHand['run'] = async (name, input, options = {}) => {
    const outcome = await (options.provider ?? provider).execute(
      {
        hand: instance,
        session_id: instance.session_id,
        call: { id: options.id ?? `toolu_${crypto.randomUUID()}`, name, input },
      },
      {
        interrupt: options.interrupt ?? new AbortController().signal,
        detach: options.detach ?? new AbortController().signal,
        onProgress: options.onProgress ?? (() => {}),
      },
    );
    return toSaid(outcome);
  };
  return {
    instance,
    run,
    bash: (command, { timeout_ms, ...options } = {}) =>
      run('bash', timeout_ms === undefined ? { command } : { command, timeout_ms }, options),
  };
}

function toSaid({ content, is_error, lost }: ExecuteOutcome): Said {
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  return lost === undefined ? { text, is_error } : { text, is_error, lost };
}
