import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Job } from '@kubernetes/client-node';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { acquireJob, giveUpJob } from '../../activities/hands/kubernetes/acquire-job.ts';
import {
  createSessionChains,
  type SessionChains,
} from '../../activities/hands/kubernetes/session-chains.ts';
import { createSweeper, type Sweeper } from '../../activities/hands/kubernetes/sweeper.ts';
import { openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { createHandCluster, type HandCluster } from '../../k8s/hand-cluster.ts';
import { toHandJob } from '../../k8s/hand-job.ts';
import type { TemporalNamespace } from '../../k8s/hand-labels.ts';
import { toHandRecipe } from '../../k8s/hand-recipe.ts';
import { toPoolJob } from '../../k8s/pool-job.ts';
import type { HandName } from '../../protocol/hand.ts';
import { type DevServer, startDevServer } from '../support/dev-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { describeCluster } from './test-cluster.ts';

const GRACE_MS = 400;
const RECIPE = toHandRecipe({}, { image: 'drover-test/never-pulled:1', network: 'none' });

describeCluster('the sweeper', (cluster) => {
  const closing = new AsyncDisposableStack();
  let server: DevServer;
  let client: Client;
  let temporal: TemporalNamespace;
  let hands: HandCluster;
  let chains: SessionChains;

  beforeAll(async () => {
    server = await startDevServer();
    closing.defer(() => server.stop());
    const connection = await Connection.connect({ address: server.address });
    closing.defer(() => connection.close());
    client = new Client({ connection });
    temporal = await namespaceOf(client);
    chains = createSessionChains(client, temporal);
    hands = await clusterFor(temporal);
  });
  afterAll(() => closing.disposeAsync());

  async function namespaceOf({ workflowService }: Client): Promise<TemporalNamespace> {
    const { namespaceInfo } = await workflowService.describeNamespace({ namespace: 'default' });
    return { name: 'default', id: namespaceInfo?.id ?? '' };
  }

  /** With the rights of the shipped Role. */
  async function clusterFor(namespace: TemporalNamespace): Promise<HandCluster> {
    const { workerKubeconfig: kubeconfig, namespace: own } = cluster();
    const access = await openClusterAccess({ kubeconfig, namespace: own });
    closing.defer(() => access.close());
    return createHandCluster(access, namespace);
  }

  function sweeper(change: Partial<Parameters<typeof createSweeper>[0]> = {}) {
    const lines: string[] = [];
    const log = (line: string): void => void lines.push(line);
    const whyUnwanted = (): undefined => undefined;
    const options = { cluster: hands, chains, whyUnwanted, graceMs: GRACE_MS, log };
    return Object.assign(createSweeper({ ...options, ...change }), { lines });
  }

  /** Sweeps for longer than the grace time. */
  async function sweepPastGrace(...sweepers: readonly Sweeper[]): Promise<void> {
    const end = performance.now() + 2 * GRACE_MS;
    for (let sweeps = 0; sweeps < 4 || performance.now() < end; sweeps += 1) {
      await Promise.all(sweepers.map((one) => one.sweep()));
      await delay(GRACE_MS / 8);
    }
  }

  async function startSession(workflowId = `swept-${randomUUID()}`) {
    const handle = await client.workflow.start('session', { workflowId, taskQueue: 'none' });
    const { raw } = await handle.describe();
    const chain_id = raw.workflowExecutionInfo?.firstRunId ?? '';
    return { handle, hand: { session_id: workflowId, chain_id, name: 'main', generation: 1 } };
  }

  const make = (hand: HandName, where = hands): Promise<V1Job> =>
    acquireJob(where, hand, toHandJob(RECIPE), { claim: async () => undefined, isFirst: false });

  async function isLeft({ metadata }: V1Job): Promise<boolean> {
    const path = `/apis/batch/v1/namespaces/${cluster().namespace}/jobs`;
    const { items } = await cluster().admin.get<{ items: readonly V1Job[] }>(path);
    return items.some(
      (job) => job.metadata?.uid === metadata?.uid && !job.metadata?.deletionTimestamp,
    );
  }

  async function endAll(...made: readonly (readonly [V1Job, WorkflowHandle?])[]): Promise<void> {
    for (const [job, handle] of made) {
      await giveUpJob(hands, job);
      await handle?.terminate().catch(() => {});
    }
  }

  test('session open → left; terminated → swept after the grace time, and one line says so', async () => {
    const { handle, hand } = await startSession();
    const job = await make(hand);
    const one = sweeper();
    await sweepPastGrace(one);
    expect(await isLeft(job)).toBe(true);
    await handle.terminate();
    await one.sweep();
    expect(await isLeft(job)).toBe(true);
    await sweepPastGrace(one);
    expect(await isLeft(job)).toBe(false);
    expect(one.lines).toEqual([
      `swept Job ${job.metadata?.name}: its session ${hand.session_id} (chain ${hand.chain_id}) is closed`,
    ]);
  });

  test('session unknown → swept', async () => {
    const hand = { session_id: randomUUID(), chain_id: 'never', name: 'main', generation: 1 };
    const job = await make(hand);
    const one = sweeper();
    await sweepPastGrace(one);
    expect(await isLeft(job)).toBe(false);
    expect(one.lines[0]).toMatch(/is unknown$/);
  });

  test('its id used again by a later session → swept, and that one’s is left', async () => {
    const first = await startSession();
    const old = await make(first.hand);
    await first.handle.terminate();
    const second = await startSession(first.hand.session_id);
    const own = await make(second.hand);
    await sweepPastGrace(sweeper());
    expect([await isLeft(old), await isLeft(own)]).toEqual([false, true]);
    await endAll([own, second.handle]);
  });

  test('another Temporal server with a namespace of that name → its Jobs are left alone', async () => {
    const other = await startDevServer();
    const connection = await Connection.connect({ address: other.address });
    try {
      const theirs = await namespaceOf(new Client({ connection }));
      expect(theirs.id).not.toBe(temporal.id);
      const hand = { session_id: randomUUID(), chain_id: 'theirs', name: 'main', generation: 1 };
      const job = await make(hand, await clusterFor(theirs));
      await sweepPastGrace(sweeper());
      expect(await isLeft(job)).toBe(true);
      await giveUpJob(hands, job);
    } finally {
      await connection.close();
      await other.stop();
    }
  });

  test('the server cannot be asked, in the middle of the grace time → nothing goes, time starts anew', async () => {
    const hand = { session_id: randomUUID(), chain_id: 'never', name: 'main', generation: 1 };
    const job = await make(hand);
    let isAway = false;
    const stateOf: SessionChains['stateOf'] = (session, chain) =>
      isAway ? Promise.reject(new Error('unavailable')) : chains.stateOf(session, chain);
    const one = sweeper({ chains: { ...chains, stateOf } });
    await one.sweep();
    await delay(1.5 * GRACE_MS);
    isAway = true;
    await expect(one.sweep()).rejects.toThrow('unavailable');
    isAway = false;
    await one.sweep();
    expect(await isLeft(job)).toBe(true);
    await sweepPastGrace(one);
    expect(await isLeft(job)).toBe(false);
  });

  test('the worker was pointed to another server meanwhile → nothing is swept', async () => {
    const hand = { session_id: randomUUID(), chain_id: 'never', name: 'main', generation: 1 };
    const job = await make(hand);
    const moved = createSessionChains(client, { ...temporal, id: 'before' });
    await expect(sweeper({ chains: moved }).sweep()).rejects.toThrow(/is another one/);
    expect(await isLeft(job)).toBe(true);
    await giveUpJob(hands, job);
  });

  test('adopted between the look and the sweep → left to who adopted it', async () => {
    const hand = { session_id: randomUUID(), chain_id: 'never', name: 'main', generation: 1 };
    await make(hand);
    let adopted: V1Job | undefined;
    const racing: HandCluster = {
      ...hands,
      async deleteUnchangedJob(job) {
        adopted ??= await make(hand);
        await hands.deleteUnchangedJob(job);
      },
    };
    const one = sweeper({ cluster: racing });
    await one.sweep();
    await delay(1.5 * GRACE_MS);
    await one.sweep();
    expect(adopted).toBeDefined();
    expect(await isLeft(adopted as V1Job)).toBe(true);
    expect(one.lines).toEqual([]);
    await giveUpJob(hands, adopted as V1Job);
  });

  test('three sweepers at once → each Job goes once', async () => {
    const made = await Promise.all(
      Array.from({ length: 5 }, () =>
        make({ session_id: randomUUID(), chain_id: 'never', name: 'main', generation: 1 }),
      ),
    );
    const three = [sweeper(), sweeper(), sweeper()];
    await sweepPastGrace(...three);
    const lines = three.flatMap((one) => one.lines);
    for (const { metadata } of made) {
      expect(lines.filter((line) => line.includes(metadata?.name ?? 'none'))).toHaveLength(1);
    }
  });

  test('an idle Job of a pool → goes when nobody wants the pool, and not before', async () => {
    const keeper = { temporal, taskQueue: 'drover-hands' };
    const job = await hands.createJob(toPoolJob(keeper, toHandJob(RECIPE), ['one']));
    await sweepPastGrace(sweeper());
    expect(await isLeft(job)).toBe(true);
    const one = sweeper({ whyUnwanted: () => 'nobody wants its pool' });
    await sweepPastGrace(one);
    expect(await isLeft(job)).toBe(false);
    expect(one.lines).toEqual([`swept Job ${job.metadata?.name}: nobody wants its pool`]);
  });

  test('provisioned and ended again and again while it sweeps → no Job of an open session goes', async () => {
    const one = sweeper({ graceMs: 0 });
    let isOver = false;
    const sweeping = (async () => {
      while (!isOver) await one.sweep();
    })();
    const round = async (): Promise<void> => {
      const { handle, hand } = await startSession();
      const job = await make(hand);
      await delay(50);
      expect(await isLeft(job)).toBe(true);
      await handle.terminate();
      await waitFor('its Job to be swept', async () => !(await isLeft(job)));
    };
    const lane = async (): Promise<void> => {
      for (let index = 0; index < 5; index += 1) await round();
    };
    await Promise.all([lane(), lane(), lane()]);
    isOver = true;
    await sweeping;
  });
});
