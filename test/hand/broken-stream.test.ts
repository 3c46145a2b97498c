import { renameSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { findHandFolder } from '../../activities/hands/local/hand-folder.ts';
import { readRecord } from '../../activities/hands/local/supervisor-record.ts';
import { numbers } from '../support/numbers.ts';
import { type TestHand, useLocalHands } from './local-hands.ts';

const hands = useLocalHands();

/** Puts a relay before the hand's socket that cuts each connection after some bytes. */
async function cutConnections(
  hand: TestHand,
  bytesOf: (connection: number) => number,
): Promise<{ readonly cuts: () => number }> {
  const { root } = findHandFolder(hands().stateFolder, hand.instance);
  const path = readRecord(root)?.socket ?? '';
  renameSync(path, `${path}r`);
  let connections = 0;
  let cuts = 0;
  const server = createServer((client) => {
    connections += 1;
    let left = bytesOf(connections);
    const upstream = connect(`${path}r`);
    const pass = (from: Socket, to: Socket): void => {
      from.on('error', () => {});
      from.on('close', () => to.destroy());
      from.on('data', (chunk: Buffer) => {
        const part = chunk.subarray(0, Math.max(0, left));
        left -= chunk.length;
        to.write(part, () => {
          if (left > 0) return;
          cuts += 1;
          to.destroy();
          from.destroy();
        });
      });
    };
    pass(client, upstream);
    pass(upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  return { cuts: () => cuts };
}

test.each([1, 2, 3])('connections cut at random bytes (%d) → each call runs once', async (seed) => {
  const hand = await hands().provision();
  const random = numbers(seed);
  const { cuts } = await cutConnections(hand, () => Math.floor(random() * 1_500));
  // A worker that has no connection yet; two calls at a time.
  const provider = hands().another();
  const lane = async (indices: readonly number[]): Promise<void> => {
    for (const index of indices) {
      const command = `echo ${index} >> runs; head -c ${index * 20} /dev/zero | tr '\\0' x`;
      const { text } = await hand.bash(command, { id: `toolu_${index}`, provider });
      expect(text).toBe('x'.repeat(index * 20));
    }
  };
  const [even, odd] = [0, 1].map((first) =>
    Array.from({ length: 10 }, (_, step) => first + 2 * step),
  );
  await Promise.all([lane(even ?? []), lane(odd ?? [])]);
  const { text } = await hand.bash('sort -n runs | tr "\\n" " "');
  expect(text.trim().split(' ').map(Number)).toEqual(
    Array.from({ length: 20 }, (_, index) => index),
  );
  expect(cuts()).toBeGreaterThan(5);
});

test('a connection cut after every single byte of its first ones → the call runs once', async () => {
  const hand = await hands().provision();
  // The hello is about 90 bytes, the request about 120, the result about 80.
  await cutConnections(hand, (connection) => connection * 7);
  const provider = hands().another();
  const result = await hand.bash('echo run >> runs; echo done', { id: 'toolu_1', provider });
  expect(result).toEqual({ text: 'done', is_error: false });
  expect((await hand.bash('wc -l < runs')).text).toBe('1');
}, 30_000);

test('an interrupt that a cut swallowed is asked for again', async () => {
  const hand = await hands().provision();
  let allowed = 0;
  await cutConnections(hand, (connection) => (connection < 4 ? 420 : 1_000_000));
  const provider = hands().another();
  const interrupt = new AbortController();
  const result = hand.bash('echo said; sleep 100', {
    id: 'toolu_1',
    provider,
    interrupt: interrupt.signal,
    onProgress: () => {
      allowed += 1;
      interrupt.abort();
    },
  });
  expect((await result).text).toMatch(/^bash: interrupted/);
  expect(allowed).toBeGreaterThan(0);
});
