import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { V1Pod } from '@kubernetes/client-node';
import { afterEach, expect, test } from 'vitest';
import { useClusterSessions } from '../cluster/cluster-sessions.ts';
import { describeCluster, expectNothingLeft } from '../cluster/test-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { addNominalNode, readinessOf } from './cluster-nodes.ts';

// A node stops answering: only the cluster's operator knows how to bring that about. Runs by
// itself, when no other file of the suite uses the node.

/** A program that is called with `pause` or `resume`, and does so to the kubelet of the one node. */
const NODE_PROGRAM = process.env['DROVER_TEST_NODE_PROGRAM'];
const TIMEOUT_MS = 480_000;
const AWAY_MS = 240_000;

describeCluster('a node that does not answer', (cluster) => {
  if (NODE_PROGRAM === undefined) {
    test.skip('SKIPPED, set DROVER_TEST_NODE_PROGRAM to a program that pauses the node', () => {});
    return;
  }
  const { drover, client, start, heartbeats, resultsOf } = useClusterSessions(cluster);
  const tell = (order: 'pause' | 'resume') => promisify(execFile)(NODE_PROGRAM, [order]);

  afterEach(async () => {
    await tell('resume');
    await untilNodeIs('True');
  }, 120_000);

  async function untilNodeIs(readiness: 'True' | 'Unknown'): Promise<void> {
    const isSo = async (): Promise<boolean> =>
      (await readinessOf(cluster().admin)).includes(readiness);
    await waitFor(`a node whose readiness is ${readiness}`, isSo, 90_000);
  }

  async function untilSaid(id: string, text: RegExp, timeoutMs: number): Promise<unknown> {
    const isSaid = async (): Promise<boolean> => text.test(await heartbeats(id));
    return waitFor(`the session to say ${text}`, isSaid, timeoutMs);
  }

  async function end(id: string): Promise<void> {
    const handle = client().workflow.getHandle(id);
    await handle.cancel();
    await handle.result().catch(() => {});
    await expectNothingLeft(cluster());
  }

  test(
    'the only one, in mid-call → outcome unknown, in words; the next call waits until it is back',
    async () => {
      const id = await start(['echo one > file; echo started; sleep 1000', 'ls | wc -l']);
      await untilSaid(id, /started/, 90_000);
      await tell('pause');
      await untilNodeIs('Unknown');
      await untilSaid(id, /waiting_for/, AWAY_MS);
      await tell('resume');
      expect(await resultsOf(id)).toEqual([
        expect.stringMatching(
          /^Outcome unknown: the sandbox was lost \(The hand has not answered for \d+ s. Its node may be away/,
        ),
        expect.stringMatching(/^\[this is a new, empty sandbox: .*\]\n0$/),
      ]);
      await end(id);
    },
    TIMEOUT_MS,
  );

  test(
    'one of two, between calls → the next one is told so; the one after it waits for a node, and says so',
    async () => {
      // A cluster whose nodes are all away gives up no pod of theirs.
      await using _other = await addNominalNode(cluster().admin);
      const id = await start(['echo one > file; echo made', null, 'cat file', 'ls | wc -l']);
      expect(await resultsOf(id)).toEqual(['made']);
      await tell('pause');
      await waitFor('its pod to be given up', isGivenUp, AWAY_MS);
      const { sessions } = drover();
      const { event_ids } = await sessions.send(id, 'go on');
      await untilSaid(id, /no node can take its pod: .*untolerated taint/, AWAY_MS);
      await tell('resume');
      await sessions.waitUntilIdle(id, { after: event_ids[0] ?? '', timeoutMs: 120_000 });
      expect(await resultsOf(id)).toEqual([
        'made',
        expect.stringMatching(
          /^Outcome unknown: the sandbox was lost \(its pod was deleted, since its node does not answer/,
        ),
        expect.stringMatching(/^\[this is a new, empty sandbox: .*\]\n0$/),
      ]);
      await end(id);
    },
    TIMEOUT_MS,
  );

  async function isGivenUp(): Promise<boolean> {
    const path = `/api/v1/namespaces/${cluster().namespace}/pods`;
    const { items } = await cluster().admin.get<{ items: readonly V1Pod[] }>(path);
    return items.some(({ metadata }) => metadata?.deletionTimestamp !== undefined);
  }
});
