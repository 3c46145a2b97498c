import type { V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { useClusterSessions } from './cluster-sessions.ts';
import { describeCluster, expectNothingLeft } from './test-cluster.ts';

const COMMANDS = [
  'echo one > file; id -u',
  'echo run >> runs; echo waiting for a kill; sleep 3; wc -l < runs',
  'echo waiting for the end; sleep 100',
  'ls | wc -l',
];
const TIMEOUT_MS = 240_000;

describeCluster('a session whose hand is in a cluster', (cluster) => {
  const { drover, client, worker, start, heartbeats, resultsOf } = useClusterSessions(cluster);

  function untilSaid(id: string, text: string): Promise<unknown> {
    const isSaid = async (): Promise<boolean> => (await heartbeats(id)).includes(text);
    return waitFor(`the session to say "${text}"`, isSaid, 90_000);
  }

  async function deletePodOf(id: string): Promise<void> {
    const { hands } = await drover().sessions.get(id);
    const { admin, namespace } = cluster();
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    const { items } = await admin.get<{ items: readonly V1Pod[] }>(pods);
    const pod = items.find(({ metadata }) => metadata?.uid === hands['main']?.instance);
    await admin.delete(`${pods}/${pod?.metadata?.name}`, { gracePeriodSeconds: 0 });
  }

  /** Of what the session does at present. */
  async function attemptOf(id: string): Promise<number> {
    const { raw } = await client().workflow.getHandle(id).describe();
    return Math.max(0, ...(raw.pendingActivities ?? []).map(({ attempt }) => attempt ?? 0));
  }

  async function cancel(id: string): Promise<void> {
    const handle = client().workflow.getHandle(id);
    await handle.cancel();
    await handle.result().catch(() => {});
  }

  test(
    'its worker killed in one call, its pod in the next → one result each, then goes on',
    async () => {
      const id = await start(COMMANDS);
      await untilSaid(id, 'waiting for a kill');
      await worker().kill();
      await worker().respawn();
      await untilSaid(id, 'waiting for the end');
      await deletePodOf(id);
      expect(await resultsOf(id)).toEqual([
        '1000',
        'waiting for a kill\n1',
        expect.stringMatching(/^Outcome unknown: the sandbox was lost .* gets a new sandbox/),
        expect.stringMatching(/^\[this is a new, empty sandbox: .*\]\n0$/),
      ]);
      await cancel(id);
      await expectNothingLeft(cluster());
    },
    TIMEOUT_MS,
  );

  test(
    'its image is missing → each call says so, and the session goes on',
    async () => {
      const commands = ['echo one', 'echo two'];
      const id = await start(commands, { config: { image: 'UPPER CASE' } });
      // A kubelet says so about twenty seconds after the program was carried in, for each call.
      const results = await resultsOf(id);
      expect(results).toHaveLength(commands.length);
      for (const result of results) expect(result).toMatch(/image UPPER CASE/);
      await cancel(id);
    },
    TIMEOUT_MS,
  );

  test(
    'its worker killed while it waits for a node → seen by heartbeat; the next one waits, and says so',
    async () => {
      const id = await start(['true'], { config: { node_selector: { 'drover.test/none': 'no' } } });
      await untilSaid(id, 'no node can take its pod');
      const before = await attemptOf(id);
      await worker().kill();
      const isSeen = async (): Promise<boolean> => (await attemptOf(id)) > before;
      await waitFor('the kill to be seen', isSeen, 15_000);
      await worker().respawn();
      await untilSaid(id, 'no node can take its pod');
      await cancel(id);
      await expectNothingLeft(cluster());
    },
    TIMEOUT_MS,
  );

  test(
    'waits for a node → its description says so; terminated meanwhile → nothing is left',
    async () => {
      const id = await start(['true'], { config: { node_selector: { 'drover.test/none': 'no' } } });
      await untilSaid(id, 'no node can take its pod');
      await client().workflow.getHandle(id).terminate();
      await expectNothingLeft(cluster());
    },
    TIMEOUT_MS,
  );
});
