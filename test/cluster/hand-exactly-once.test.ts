import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { CallConflictError } from '../../hand/hand.ts';
import { ClusterError } from '../../k8s/connection/cluster-error.ts';
import type { HandCluster } from '../../k8s/hand-cluster.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { HandInstance, ToolCall } from '../../protocol/hand.ts';
import { numbers } from '../support/numbers.ts';
import { waitFor } from '../support/wait-for.ts';
import { type TestHand, toProvisionInput, toTestHand, useClusterHands } from './cluster-hands.ts';
import { cutStreams, spoilStreams } from './cut-streams.ts';
import { spawnWorker } from './spawn-worker.ts';
import { describeCluster } from './test-cluster.ts';

describeCluster('a call runs once', (cluster) => {
  const hands = useClusterHands(cluster);

  const runsOf = async (hand: TestHand): Promise<number> =>
    Number((await hand.bash('cat runs 2> /dev/null | wc -l')).text);

  describe('its stream is cut', () => {
    test.each([1, 2, 3])('at random bytes (%d) → nothing is lost or doubled', async (seed) => {
      const hand = await hands.provision();
      const random = numbers(seed);
      const through = cutStreams(() => Math.floor(random() * 1_500));
      const provider = await hands.worker({ through });
      const lane = async (indices: readonly number[]): Promise<void> => {
        for (const index of indices) {
          const command = `echo ${index} >> runs; head -c ${index * 20} /dev/zero | tr '\\0' x`;
          const { text } = await hand.bash(command, { id: `toolu_${index}`, provider });
          expect(text).toBe('x'.repeat(index * 20));
        }
      };
      const lanes = [0, 1].map((first) =>
        Array.from({ length: 10 }, (_, step) => first + 2 * step),
      );
      await Promise.all(lanes.map(lane));
      const { text } = await hand.bash('sort -n runs | tr "\\n" " "');
      expect(text.trim().split(' ').map(Number)).toEqual(
        Array.from({ length: 20 }, (_, index) => index),
      );
      expect(through.cuts()).toBeGreaterThan(5);
    });

    test.each(['lost', 'doubled', 'changed'] as const)(
      'or bytes are %s on it, at random places → the same',
      async (what) => {
        const hand = await hands.provision();
        const random = numbers(what.length);
        const through = spoilStreams(() => ({
          what,
          afterBytes: Math.floor(random() * 1_500),
          bytes: 1 + Math.floor(random() * 30),
        }));
        const provider = await hands.worker({ through });
        for (let index = 0; index < 10; index += 1) {
          const command = `echo ${index} >> runs; head -c ${index * 50} /dev/zero | tr '\\0' x`;
          const { text } = await hand.bash(command, { id: `toolu_${index}`, provider });
          expect(text).toBe('x'.repeat(index * 50));
        }
        expect(await runsOf(hand)).toBe(10);
        expect(through.streams()).toBeGreaterThan(3);
      },
    );

    test('after each 7th byte of a whole exchange → one run', async () => {
      const hand = await hands.provision();
      const through = cutStreams((stream) => stream * 7);
      // On a busy machine the dozens of streams until it can answer take longer than it may be silent.
      const provider = await hands.worker({ through, silenceMs: 120_000 });
      const result = await hand.bash('echo run >> runs; echo done', { id: 'toolu_1', provider });
      expect(result).toEqual({ text: 'done', is_error: false });
      expect(await runsOf(hand)).toBe(1);
      expect(through.cuts()).toBeGreaterThan(10);
    });

    test('by the command itself, in the pod → its result comes by the next stream', async () => {
      const hand = await hands.provision();
      const command = 'echo run >> runs; pkill socat; sleep 0.3; echo done';
      expect((await hand.bash(command)).text).toBe('done');
      expect(await runsOf(hand)).toBe(1);
    });

    test('while an interrupt is under way → the command is stopped all the same', async () => {
      const hand = await hands.provision();
      const through = cutStreams((stream) => (stream < 4 ? 420 : 1_000_000));
      const provider = await hands.worker({ through });
      const interrupt = new AbortController();
      const result = hand.bash('echo said; sleep 100', {
        provider,
        interrupt: interrupt.signal,
        onProgress: () => interrupt.abort(),
      });
      expect((await result).text).toMatch(/^bash: interrupted/);
    });

    test('for longer than a hand may be silent, by a cluster that is away → asked again', async () => {
      const hand = await hands.provision();
      let isAway = false;
      const through = (inner: HandCluster): HandCluster => ({
        ...inner,
        listPods: (name) => (isAway ? Promise.reject(away()) : inner.listPods(name)),
      });
      const provider = await hands.worker({ through, silenceMs: 2_500 });
      const command = 'echo run >> runs; pkill socat; sleep 2; echo done';
      const call = { id: 'toolu_1', provider };
      expect((await hand.bash('echo here', { provider })).text).toBe('here');
      isAway = true;
      await expect(hand.bash(command, call)).rejects.toMatchObject({
        type: FAILURE.sandboxClusterUnreachable,
        nonRetryable: false,
        message: expect.stringMatching('cannot be asked: no answer'),
      });
      isAway = false;
      expect((await hand.bash(command, call)).text).toBe('done');
      expect(await runsOf(hand)).toBe(1);
    });
  });

  describe('its worker is killed', () => {
    const worker = (order: object) => spawnWorker(cluster(), order);

    const execution = (hand: TestHand, call: ToolCall) => ({
      hand: hand.instance,
      session_id: hand.instance.session_id,
      call,
    });

    test('in mid-call → the next attempt attaches and gets the one result', async () => {
      const hand = await hands.provision();
      const command = 'echo run >> runs; while [ ! -e go ]; do sleep 0.02; done; echo done';
      const call = { id: 'toolu_1', name: 'bash', input: { command } };
      const first = worker({ execute: execution(hand, call) });
      const hasStarted = async (): Promise<boolean> => {
        const { text } = await hand.run('glob', { pattern: 'runs' });
        return text.includes('runs');
      };
      await waitFor('the command to start', hasStarted);
      first.kill('SIGKILL');
      await first.said;
      const second = hand.run('bash', call.input, { id: call.id });
      await hand.run('write', { file_path: 'go', content: '' });
      expect(await second).toEqual({ text: 'done', is_error: false });
      expect(await runsOf(hand)).toBe(1);
    });

    test.each([200, 400, 500, 600])(
      'after %d ms of its life → it ran at most once, and does when asked again',
      async (ms) => {
        const hand = await hands.provision();
        const input = { command: 'echo run >> runs; echo done' };
        const first = worker({ execute: execution(hand, { id: 'toolu_1', name: 'bash', input }) });
        await delay(ms);
        first.kill('SIGKILL');
        await first.said;
        expect(await runsOf(hand)).toBeLessThanOrEqual(1);
        expect((await hand.run('bash', input, { id: 'toolu_1' })).text).toBe('done');
        expect(await runsOf(hand)).toBe(1);
      },
    );

    test.each([300, 600, 900, 1200])(
      'after %d ms, as it provisions → its hand is adopted, and there is one',
      async (ms) => {
        const input = toProvisionInput();
        const first = worker({ provision: input });
        await delay(ms);
        first.kill('SIGKILL');
        await first.said;
        const hand = await hands.provision({ session: input.hand.session_id });
        expect((await hand.bash('echo here')).text).toBe('here');
      },
    );

    test('its hand outlives it', async () => {
      const input = toProvisionInput();
      const said = JSON.parse(await worker({ provision: input }).said) as HandInstance;
      const adopted = await hands.provision({ session: input.hand.session_id });
      expect(adopted.instance.instance).toBe(said.instance);
    });
  });

  test('asked for twice at once, by two workers → one run, one result', async () => {
    const hand = await hands.provision();
    const command = 'echo run >> runs; sleep 0.3; echo $RANDOM';
    const other = await hands.worker();
    const results = await Promise.all([
      hand.bash(command, { id: 'toolu_1' }),
      hand.bash(command, { id: 'toolu_1', provider: other }),
      hand.bash(command, { id: 'toolu_1' }),
    ]);
    expect(new Set(results.map(({ text }) => text)).size).toBe(1);
    expect(await runsOf(hand)).toBe(1);
  });

  test('with another input under the same id → an error, and nothing runs', async () => {
    const hand = await hands.provision();
    await hand.bash('echo run >> runs', { id: 'toolu_1' });
    await expect(hand.bash('echo other >> runs', { id: 'toolu_1' })).rejects.toThrow(
      CallConflictError,
    );
    expect(await runsOf(hand)).toBe(1);
  });

  test('detached from → it goes on, and the next one that asks gets its result', async () => {
    const hand = await hands.provision();
    const detach = new AbortController();
    const first = hand.bash('echo run >> runs; sleep 0.5; echo done', {
      id: 'toolu_1',
      detach: detach.signal,
    });
    detach.abort(new Error('the worker stops'));
    await expect(first).rejects.toThrow('the worker stops');
    const again = toTestHand(await hands.worker(), hand.instance);
    const result = await again.bash('echo run >> runs; sleep 0.5; echo done', { id: 'toolu_1' });
    expect(result.text).toBe('done');
    expect(await runsOf(hand)).toBe(1);
  });
});

function away(): ClusterError {
  return new ClusterError(0, 'no answer');
}
