import { expect, test } from 'vitest';
import { summarizeCall } from '../../workflows/summary.ts';

const call = (name: string, input: Record<string, unknown>) => ({ id: 'toolu_1', name, input });

test.each([
  ['a command', call('bash', { command: 'npm test' }), 'bash: npm test'],
  ['a file', call('read', { file_path: 'src/main.ts' }), 'read: src/main.ts'],
  ['a pattern', call('grep', { pattern: 'TODO', path: '.' }), 'grep: TODO'],
  ['several lines', call('bash', { command: 'cd x &&\n  make' }), 'bash: cd x && make'],
  ['nothing a person would call it by', call('write', { command: 7 }), 'write'],
])('%s → what a person would call it', (_name, input, expected) => {
  expect(summarizeCall(input)).toBe(expected);
});

test.each([
  ['words', 'x'.repeat(1_000)],
  ['words of three bytes each', '語'.repeat(1_000)],
  ['pairs of characters', '🦊'.repeat(1_000)],
  ['halves of characters', '\ud83e'.repeat(1_000)],
  ['quotes', '"'.repeat(1_000)],
  ['control characters between words', 'x\u0001'.repeat(1_000)],
])('many %s → at most 200 bytes, cut between characters', (_name, command) => {
  const summary = summarizeCall(call('bash', { command }));
  expect(Buffer.byteLength(JSON.stringify(summary))).toBeLessThanOrEqual(200);
  expect(summary.isWellFormed()).toBe(true);
  expect(summary).toMatch(/…$/);
});
