import { expect, test } from 'vitest';
import { describeInput } from '../../workflows/describe-input.ts';

test.each<[string, Record<string, unknown>, string]>([
  ['a command', { command: 'npm test' }, '`npm test`'],
  ['a command with backticks', { command: 'echo `date`' }, '`` echo `date` ``'],
  ['a script', { command: 'cd x\nmake' }, '\n```\ncd x\nmake\n```\n'],
  ['a script with a fence', { command: 'cat <<E\n```\nE' }, '\n````\ncat <<E\n```\nE\n````\n'],
  ['a file and a range', { file_path: 'a.ts', view_range: [1, 5] }, '`a.ts` view_range: [1,5]'],
  [
    'an edit',
    { file_path: 'a', old_string: 'x\ny', new_string: 'z' },
    '`a` old_string: x y, new_string: z',
  ],
  ['a tool of one’s own', { city: 'Bonn', days: 2 }, 'city: Bonn, days: 2'],
  ['nothing', {}, ''],
])('%s → readable', (_name, input, expected) => {
  expect(describeInput(input)).toBe(expected);
});

test('a long input → cut between characters', () => {
  const words = describeInput({ command: '🦊'.repeat(1_000), more: 'x'.repeat(1_000) });
  expect(words.length).toBeLessThan(700);
  expect(words.isWellFormed()).toBe(true);
  expect(words).toContain('…');
});
