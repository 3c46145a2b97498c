import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { createOutputLog } from '../../hand/output-log.ts';
import { GONE, makeOutputRoom } from '../../hand/output-room.ts';

const folder = mkdtempSync(join(tmpdir(), 'drover-output-room-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
});

const ROOM = { maxFileBytes: 1_000, maxFolderBytes: 2_500 };

function put(name: string, bytes: number, writtenAt: number): void {
  writeFileSync(join(folder, name), '');
  truncateSync(join(folder, name), bytes);
  utimesSync(join(folder, name), writtenAt, writtenAt);
}

test.each<[string, [string, number][], string[]]>([
  [
    'there is room for one more',
    [
      ['a', 1000],
      ['b', 500],
    ],
    ['a', 'b'],
  ],
  [
    'there is not',
    [
      ['a', 1000],
      ['b', 510],
    ],
    ['b'],
  ],
  [
    'the newest fills it',
    [
      ['a', 100],
      ['b', 1510],
    ],
    [],
  ],
  [
    'many',
    [
      ['a', 600],
      ['b', 600],
      ['c', 600],
    ],
    ['b', 'c'],
  ],
])('%s → the oldest go, and a line in their place says so', (_what, files, left) => {
  for (const [index, [name, bytes]] of files.entries()) put(name, bytes, index + 1);
  makeOutputRoom(folder, ROOM);
  for (let again = 0; again < 2; again += 1) {
    const names = readdirSync(folder).sort();
    expect(names).toEqual(files.map(([name]) => name));
    const isLeft = (name: string): boolean => readFileSync(join(folder, name), 'utf8') !== GONE;
    expect(names.filter(isLeft)).toEqual(left);
    makeOutputRoom(folder, ROOM);
  }
});

test('more than a file may hold → its beginning, and the notice says so', () => {
  const path = join(folder, 'long.txt');
  const log = createOutputLog(path, ROOM.maxFileBytes);
  for (const letter of ['a', 'b', 'c']) log.append(Buffer.from(letter.repeat(70_000)));
  expect(log.finish().notice).toBe(
    `[output truncated: the end of 210000 bytes follows; its first 1000 bytes, all that is kept, are in ${path}]`,
  );
  expect(readFileSync(path, 'utf8')).toBe('a'.repeat(1_000));
});

test('its folder was removed by a command → nothing to do', () => {
  expect(() => makeOutputRoom(join(folder, 'none'), ROOM)).not.toThrow();
});
