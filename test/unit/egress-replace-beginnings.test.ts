import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { BeginningReplacer } from '../../egress/replace-beginnings.ts';
import { inStream } from '../../egress/replace-bytes.ts';
import { numbers } from '../support/numbers.ts';

type Words = Readonly<Record<string, readonly [least: number, to: string]>>;

const toReplacer = (words: Words) =>
  new BeginningReplacer(
    Object.entries(words).map(([from, [least, to]]) => ({
      from: Buffer.from(from),
      to: Buffer.from(to),
      least: Buffer.from(from.slice(0, least)),
    })),
  );

function atOnce(whole: string, words: Words): string {
  const replacer = toReplacer(words);
  return Buffer.concat([...replacer.push(Buffer.from(whole)), ...replacer.end()]).toString();
}

test.each<[string, Words, string]>([
  ['nothing of it', { abcdef: [3, '1'] }, 'nothing of it'],
  ['too little: ab.', { abcdef: [3, '1'] }, 'too little: ab.'],
  ['xabc.', { abcdef: [3, '1'] }, 'x1.'],
  ['xabcde', { abcdef: [3, '1'] }, 'x1'],
  ['abcdefg', { abcdef: [3, '1'] }, '1g'],
  ['abcx', { abcdef: [3, '1'], abcxyz: [3, '2'] }, '2'],
  ['abcabcde', { abcabd: [3, '1'] }, '1de'],
  // Twice in a row, where the first one goes on as the second begins.
  ['abcdabcda.', { abcdabcx: [4, '1'] }, '1.'],
  ['abcabcab', { abcab: [3, '1'] }, '1'],
])('%j with %j → %j', (from, words, to) => {
  expect(atOnce(from, words)).toBe(to);
});

test('cut anywhere → the same as whole, and no beginning is left', async () => {
  const next = numbers(11);
  const below = (limit: number) => Math.floor(next() * limit);
  const words: Words = { abcaabcb: [4, '<1>'], bcabca: [3, '<2>'], caacaaca: [4, '<3>'] };
  for (let round = 0; round < 500; round += 1) {
    const length = below(40);
    const whole = Array.from({ length }, () => 'abc'[below(3)]).join('');
    const chunks: string[] = [];
    for (let at = 0; at < whole.length; ) {
      const size = 1 + below(5);
      chunks.push(whole.slice(at, at + size));
      at += size;
    }
    const cut = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
    const replaced = await text(cut.pipe(inStream(toReplacer(words))));
    expect(replaced, chunks.join('|')).toBe(atOnce(whole, words));
    for (const [from, [least]] of Object.entries(words)) {
      expect(replaced, whole).not.toContain(from.slice(0, least));
    }
  }
});
