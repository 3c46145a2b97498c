import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { ApplicationFailure } from '@temporalio/common';
import { afterEach, expect, test } from 'vitest';
import type { KubernetesProvider } from '../../activities/hands/kubernetes/kubernetes-provider.ts';
import { ANNOTATION, LABEL, MANAGED_BY } from '../../k8s/hand-labels.ts';
import type { ResolvedEnvironment } from '../../protocol/environment.ts';
import { EnvironmentDefinition, type EnvironmentInput } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { HandName, ProvisionInput } from '../../protocol/hand.ts';
import { waitFor } from '../support/wait-for.ts';
import { toProvisionInput, useClusterHands } from './cluster-hands.ts';
import { describeCluster, SANDBOX_IMAGE } from './test-cluster.ts';

const CHILD = fileURLToPath(new URL('./pool-child.ts', import.meta.url));

describeCluster('a warm pool', (cluster) => {
  const hands = useClusterHands(cluster);

  afterEach(async () => {
    for (const job of await jobs()) await remove(job);
  });

  function registered(size: number, input: EnvironmentInput = {}): ResolvedEnvironment {
    const config = { memory_mib: 160, disk_mib: 32, ...input.config, warm_pool_size: size };
    const definition = EnvironmentDefinition.parse({ provider: 'kubernetes', ...input, config });
    return { id: 'pooled', version: 1, definition };
  }

  function inputFor(environment: ResolvedEnvironment): ProvisionInput {
    return { ...toProvisionInput(), environment };
  }

  const jobsPath = () => `/apis/batch/v1/namespaces/${cluster().namespace}/jobs`;

  async function jobs(): Promise<readonly V1Job[]> {
    const query = { labelSelector: `${LABEL.managedBy}=${MANAGED_BY}` };
    const { items } = await cluster().admin.get<{ items: readonly V1Job[] }>(jobsPath(), query);
    return items.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
  }

  async function idle(): Promise<readonly V1Job[]> {
    return (await jobs()).filter(({ metadata }) => metadata?.labels?.[LABEL.hand] === undefined);
  }

  const remove = ({ metadata }: V1Job) =>
    cluster().admin.delete(`${jobsPath()}/${metadata?.name}`, { propagationPolicy: 'Background' });

  const namesOf = (of: readonly V1Job[]) => of.map(({ metadata }) => metadata?.name).sort();

  /** Keeps pools until as many Jobs are ready. */
  async function fill(worker: KubernetesProvider, ready: number): Promise<void> {
    await waitFor(
      `${ready} pooled Jobs to be ready`,
      async () => {
        await worker.pools.keep();
        return worker.pools.readyCount() === ready;
      },
      60_000,
    );
  }

  async function pooledWorker(environment: ResolvedEnvironment): Promise<KubernetesProvider> {
    const worker = await hands.worker();
    worker.pools.want({ environments: [environment], isComplete: true });
    return worker;
  }

  const make = hands.make;

  test('holds Jobs without session data; a claim makes one a hand by a patch, and it is refilled', async () => {
    const environment = registered(2, { config: { max_lifetime_seconds: 600 } });
    const worker = await pooledWorker(environment);
    await fill(worker, 2);
    const pooled = await idle();
    expect(pooled).toHaveLength(2);
    expect(JSON.stringify(pooled)).not.toMatch(/session-id|chain-id|hand-name/);
    const input = inputFor(environment);
    const start = Date.now();
    const hand = await make(worker, input);
    const claimed = (await jobs()).find(
      ({ metadata }) => metadata?.annotations?.[ANNOTATION.session] === input.hand.session_id,
    );
    expect(namesOf(pooled)).toContain(claimed?.metadata?.name);
    const started = new Date(claimed?.status?.startTime ?? 0).getTime();
    const ends = started + (claimed?.spec?.activeDeadlineSeconds ?? 0) * 1000;
    expect(Math.abs(ends - start - 600_000)).toBeLessThan(3_000);
    expect((await hand.bash('echo hello; ls -A')).text).toBe('hello');
    await waitFor('the pool to be refilled', async () => (await idle()).length === 2);
  });

  test('asked for again, also by another worker → the same hand, and no second Job is taken', async () => {
    const environment = registered(2);
    const worker = await pooledWorker(environment);
    await fill(worker, 2);
    const input = inputFor(environment);
    const hand = await make(worker, input);
    const again = await (await pooledWorker(environment)).provision(input);
    expect(again.instance).toBe(hand.instance.instance);
    const claimed = (await jobs()).filter(({ metadata }) => metadata?.labels?.[LABEL.hand]);
    expect(claimed).toHaveLength(1);
  });

  test('asked for again as if for the first time → the same hand; what was taken is given up', async () => {
    const environment = registered(2);
    const worker = await pooledWorker(environment);
    await fill(worker, 2);
    const input = inputFor(environment);
    const hand = await make(worker, input);
    const first = { onWaiting: () => {}, abandoned: new AbortController().signal, isFirst: true };
    const again = await worker.provision(input, first);
    expect(again.instance).toBe(hand.instance.instance);
    const claimed = (await jobs()).filter(
      ({ metadata: { labels, deletionTimestamp } = {} }) =>
        labels?.[LABEL.hand] !== undefined && deletionTimestamp === undefined,
    );
    expect(claimed).toHaveLength(1);
    expect((await hand.bash('echo hello')).text).toBe('hello');
  });

  test('released → its Job is gone, and never goes back to the pool', async () => {
    const environment = registered(1);
    const worker = await pooledWorker(environment);
    await fill(worker, 1);
    const [pooled] = await idle();
    const hand = await make(worker, inputFor(environment));
    await worker.release({ hand: hand.instance, keep_workspace: false });
    await fill(worker, 1);
    expect(namesOf(await idle())).not.toContain(pooled?.metadata?.name);
  });

  test('empty → a hand is made all the same', async () => {
    const environment = registered(1);
    const worker = await hands.worker();
    const hand = await make(worker, inputFor(environment));
    expect((await hand.bash('echo hello')).text).toBe('hello');
  });

  test('of another recipe → left alone', async () => {
    const worker = await pooledWorker(registered(1));
    await fill(worker, 1);
    const before = namesOf(await idle());
    await make(worker, inputFor(registered(1, { config: { memory_mib: 256 } })));
    expect(namesOf(await idle())).toEqual(before);
  });

  test('three keepers side by side → as many Jobs as were asked for', async () => {
    const environment = registered(3);
    const workers = await Promise.all([1, 2, 3].map(() => pooledWorker(environment)));
    await Promise.all(workers.map((worker) => worker.pools.keep()));
    await Promise.all(workers.map((worker) => fill(worker, 3)));
    expect(await idle()).toHaveLength(3);
  });

  test('a pooled Job whose pod is gone → replaced', async () => {
    const worker = await pooledWorker(registered(1));
    await fill(worker, 1);
    const before = await idle();
    expect(before).toHaveLength(1);
    const pods = `/api/v1/namespaces/${cluster().namespace}/pods`;
    const { items } = await cluster().admin.get<{ items: V1Pod[] }>(pods);
    // By its uid: a Job of this name was there before, and its pod may still be ending.
    const pod = items.find(({ metadata }) =>
      metadata?.ownerReferences?.some(({ uid }) => uid === before[0]?.metadata?.uid),
    );
    expect(pod).toBeDefined();
    await cluster().admin.delete(`${pods}/${pod?.metadata?.name}`, { gracePeriodSeconds: 0 });
    await waitFor(
      'another Job',
      async () => {
        await worker.pools.keep();
        const now = await idle();
        return now.length === 1 && now[0]?.metadata?.uid !== before[0]?.metadata?.uid;
      },
      30_000,
    );
  });

  test('Jobs that die at once → the reason, and no more of them for a while', async () => {
    const environment = registered(1, { config: { image: 'UPPER CASE' } });
    const worker = await pooledWorker(environment);
    const failure = await waitFor(
      'the pool to fail',
      () =>
        worker.pools.keep().then(
          () => undefined,
          (error: unknown) => error,
        ),
      60_000,
    );
    expect(String(failure)).toMatch(/a pooled Job died .*UPPER CASE.*next one is made in/);
    await worker.pools.keep();
    expect(await idle()).toEqual([]);
  });

  test('too many → the surplus goes', async () => {
    const worker = await pooledWorker(registered(2));
    await fill(worker, 2);
    worker.pools.want({ environments: [registered(1)], isComplete: true });
    await worker.pools.keep();
    expect(await idle()).toHaveLength(1);
  });

  test('of an inline environment → refused, naming the registry', async () => {
    const worker = await hands.worker();
    const environment = { ...registered(1), id: null };
    const error = await worker.provision(inputFor(environment)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ApplicationFailure);
    expect(error).toMatchObject({
      type: FAILURE.sandboxUnsupportedConfig,
      nonRetryable: true,
      message: expect.stringMatching(/config\.warm_pool_size .* registry .*register it/),
    });
  });

  test('100 claims, of each hand by 4 workers at once → no Job twice, no hand with two', async () => {
    // No node takes them: their pods would cost more than there is to be seen.
    const environment = registered(10, {
      config: { node_selector: { 'drover.test/none': 'such' } },
    });
    const keeper = await pooledWorker(environment);
    await keeper.pools.keep();
    const names = Array.from({ length: 25 }, () => inputFor(environment).hand);
    const workers = await Promise.all([1, 2, 3, 4].map(() => startWorker(environment, names)));
    for (const { child } of workers) child.stdin?.write('go\n');
    const got = (await Promise.all(workers.map(({ result }) => result))).flat();
    expect(got).toHaveLength(100);
    for (const attempts of Map.groupBy(got, ({ session }) => session).values()) {
      expect(new Set(attempts.map(({ job }) => job)).size).toBe(1);
    }
    expect(new Set(got.map(({ job }) => job)).size).toBe(25);
    const claimed = (await jobs()).filter(({ metadata }) => metadata?.labels?.[LABEL.hand]);
    expect(claimed).toHaveLength(25);
    const pooled = claimed.filter(({ metadata }) => metadata?.labels?.[LABEL.pool]);
    // Of four workers that take one each for the same hand, three give theirs up again.
    expect(pooled.length).toBeGreaterThan(1);
  });

  interface Got {
    readonly session: string;
    /** Its uid. */
    readonly job: string;
  }

  async function startWorker(
    environment: ResolvedEnvironment,
    names: readonly HandName[],
  ): Promise<{ readonly child: ChildProcess; readonly result: Promise<readonly Got[]> }> {
    const { workerKubeconfig: kubeconfig, namespace } = cluster();
    const order = { kubeconfig, namespace, image: SANDBOX_IMAGE, environment, hands: names };
    const child = spawn(process.execPath, [CHILD, JSON.stringify(order)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout });
    const said = lines[Symbol.asyncIterator]();
    expect((await said.next()).value).toBe('ready');
    const result = said.next().then(({ value }) => JSON.parse(value ?? '[]') as readonly Got[]);
    return { child, result };
  }
});
