import type { V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { jobName } from '../../k8s/hand-labels.ts';
import { waitFor } from '../support/wait-for.ts';
import { type TestHand, useClusterHands } from './cluster-hands.ts';
import { describeCluster } from './test-cluster.ts';
import { TEMPORAL } from './test-temporal.ts';

describeCluster('a hand that is lost', (cluster) => {
  const hands = useClusterHands(cluster);

  const podsOf = ({ instance }: TestHand): Promise<readonly V1Pod[]> => hands.podsOf(instance);

  async function podPath(hand: TestHand): Promise<string> {
    const [pod] = await podsOf(hand);
    return `/api/v1/namespaces/${cluster().namespace}/pods/${pod?.metadata?.name}`;
  }

  /** Runs a command, and does something once it says `said`. */
  async function during(hand: TestHand, command: string, act: () => Promise<unknown>) {
    const saying = Promise.withResolvers<void>();
    const result = hand.bash(`echo said; ${command}`, { onProgress: () => saying.resolve() });
    await Promise.race([saying.promise, result]);
    await act();
    return result;
  }

  const LOST = { is_error: true, lost: true } as const;
  const words = (text: string) => ({ ...LOST, text: expect.stringMatching(text) });

  test('pod deleted in mid-call → outcome unknown, and no other pod takes its place', async () => {
    const hand = await hands.provision();
    const path = await podPath(hand);
    const result = during(hand, 'sleep 100', () =>
      cluster().admin.delete(path, { gracePeriodSeconds: 0 }),
    );
    expect(await result).toEqual(words('Outcome unknown: .*pod.*was not run again.*new sandbox'));
    const isGone = async (): Promise<boolean> => (await podsOf(hand)).length === 0;
    await waitFor('its Job to be given up', isGone);
    expect(await hand.bash('echo more')).toEqual(words('does not exist'));
  });

  test('Job deleted in mid-call → lost', async () => {
    const hand = await hands.provision();
    const path = `/apis/batch/v1/namespaces/${cluster().namespace}/jobs/${jobName(TEMPORAL, hand.instance)}`;
    const result = during(hand, 'sleep 100', () =>
      cluster().admin.delete(path, { propagationPolicy: 'Background' }),
    );
    expect(await result).toEqual(words('Outcome unknown: .*pod'));
  });

  test('evicted by the cluster’s API, as a drain does → lost, and it says so', async () => {
    const hand = await hands.provision();
    const path = await podPath(hand);
    const name = path.split('/').at(-1);
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name, namespace: cluster().namespace },
    };
    const result = await during(hand, 'sleep 100', () =>
      cluster().admin.post(`${path}/eviction`, eviction),
    );
    expect(result).toEqual(words('Evict'));
  });

  test('evicted for a workspace over its size → lost, with the reason', async () => {
    const hand = await hands.provision({ environment: { config: { disk_mib: 16 } } });
    const result = await hand.bash('head -c 60M /dev/urandom > big; sleep 200');
    expect(result).toEqual(words('Evicted.*exceeds the limit'));
  });

  test('its daemon killed for want of memory → lost, with the reason', async () => {
    const hand = await hands.provision({ environment: { config: { memory_mib: 160 } } });
    const hog = 'python3 -c "import time; x = bytearray(12 << 20); time.sleep(100)" &';
    const result = await hand.bash(`for i in $(seq 40); do ${hog} done; sleep 100`);
    expect(result).toEqual(words('ran out of memory.*config.memory_mib'));
  });

  test('a command over the memory limit → it alone is killed, the hand lives', async () => {
    const hand = await hands.provision({ environment: { config: { memory_mib: 256 } } });
    const result = await hand.bash('python3 -c "x = bytearray(400 << 20)"; echo exit $?');
    expect(result.text).toMatch(/exit 137/);
    expect(result).not.toHaveProperty('lost');
  });

  test('at the end of its longest lifetime → lost, with the reason', async () => {
    const hand = await hands.provision({ environment: { config: { max_lifetime_seconds: 30 } } });
    expect(await hand.bash('sleep 200')).toEqual(words('longest lifetime'));
  });

  test('its daemon killed by a command → lost', async () => {
    const hand = await hands.provision();
    expect(await hand.bash('pkill -9 -f daemon.ts; sleep 100')).toEqual(words('exit code 137'));
  });

  test('its daemon says nothing for too long → lost, and what runs in it is ended', async () => {
    const hand = await hands.provision();
    const provider = await hands.worker({ silenceMs: 2_500 });
    expect(await hand.bash('pkill -STOP -f daemon.ts; sleep 100', { provider })).toEqual(
      words('has not answered'),
    );
    const isGone = async (): Promise<boolean> => (await podsOf(hand)).length === 0;
    await waitFor('its pod to be gone', isGone);
  });

  test('two calls at once, the pod dies, one is retried late → never taken to the new pod', async () => {
    const hand = await hands.provision();
    const [path] = await Promise.all([podPath(hand), hand.bash('touch here')]);
    const first = hand.bash('echo run >> runs; sleep 100', { id: 'toolu_1' });
    const second = hand.run('bash', { command: 'echo run >> runs' }, { id: 'toolu_2' });
    await cluster().admin.delete(path, { gracePeriodSeconds: 0 });
    expect(await Promise.all([first, second])).toEqual([words('lost'), words('lost')]);
    const { session_id: session } = hand.instance;
    const next = await hands.provision({ session, generation: 2 });
    const late = await hand.bash('echo run >> runs', { id: 'toolu_2' });
    expect(late).toEqual(words('does not exist'));
    expect((await next.bash('ls | wc -l')).text).toMatch(/\n0$/);
  });
});
