import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { replaceAll, replacing } from '../../egress/replace-bytes.ts';
import { numbers } from '../support/numbers.ts';

const toReplacements = (words: Readonly<Record<string, string>>) =>
  Object.entries(words).map(([from, to]) => ({ from: Buffer.from(from), to: Buffer.from(to) }));

test.each<[string, Readonly<Record<string, string>>, string]>([
  ['nothing of it', { x: '1' }, 'nothing of it'],
  ['abab', { ab: 'ba' }, 'baba'],
  ['abcd', { abc: '1', abcd: '2' }, '2'],
  ['xabcy', { xabcz: '1', abc: '2' }, 'x2y'],
  ['aaab', { aab: '1' }, 'a1'],
  ['abcabd', { abcabc: '1', cabd: '2' }, 'ab2'],
])('%j with %j → %j', (from, words, to) => {
  expect(replaceAll(Buffer.from(from), toReplacements(words)).toString()).toBe(to);
});

test('cut anywhere → the same as whole', async () => {
  const next = numbers(7);
  const below = (limit: number) => Math.floor(next() * limit);
  const words = toReplacements({ abca: '<1>', bc: '<2>', abcab: '<3>', caa: '', bbbb: 'b' });
  for (let round = 0; round < 300; round += 1) {
    const length = below(40);
    const whole = Array.from({ length }, () => 'abc'[below(3)]).join('');
    const chunks: string[] = [];
    for (let at = 0; at < whole.length; ) {
      const size = 1 + below(5);
      chunks.push(whole.slice(at, at + size));
      at += size;
    }
    const cut = Readable.from(chunks.map((chunk) => Buffer.from(chunk))).pipe(replacing(words));
    expect(await text(cut), chunks.join('|')).toBe(
      replaceAll(Buffer.from(whole), words).toString(),
    );
  }
});
