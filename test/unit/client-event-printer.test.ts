import { expect, test } from 'vitest';
import { createEventPrinter } from '../../client/command-line/event-printer.ts';

const WAITING = {
  type: 'session_waiting',
  reason: 'the model request is tried again (attempt 2): \u001b[31moverloaded',
} as const;
const OVER = { type: 'session_waiting', reason: null } as const;

function print(isTTY: boolean, ...previews: (typeof WAITING | typeof OVER)[]): string {
  let text = '';
  const output = {
    isTTY,
    columns: 100,
    write: (part: string) => {
      text += part;
    },
  };
  const printer = createEventPrinter(output);
  for (const preview of previews) printer.preview(preview);
  return text;
}

test('who reads lines is told what is tried again, once, in a line that steers nothing', () => {
  expect(print(false, WAITING, OVER)).toBe(
    '(the model request is tried again (attempt 2): [31moverloaded)\n',
  );
});

test('a terminal shows it in the line that is overwritten', () => {
  const ERASE = '\r\u001b[K';
  expect(print(true, WAITING).split(ERASE)).toEqual([
    '',
    expect.stringMatching(/^…: \(the model request .*\)$/),
  ]);
  expect(print(true, WAITING, OVER).split(ERASE).at(-1)).toBe('');
});
