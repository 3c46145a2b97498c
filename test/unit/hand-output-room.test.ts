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
import { makeOutputRoom } from '../../hand/output-room.ts';

const folder = mkdtempSync(join(tmpdir(), 'drover-output-room-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
});

const ROOM = { maxFileBytes: 100, maxFolderBytes: 250 };

function put(name: string, bytes: number, writtenAt: number): void {
  writeFileSync(join(folder, name), '');
  truncateSync(join(folder, name), bytes);
  utimesSync(join(folder, name), writtenAt, writtenAt);
}

test.each<[string, [string, number][], string[]]>([
  [
    'there is room for one more',
    [
      ['a', 100],
      ['b', 50],
    ],
    ['a', 'b'],
  ],
  [
    'there is not',
    [
      ['a', 100],
      ['b', 51],
    ],
    ['b'],
  ],
  [
    'the newest fills it',
    [
      ['a', 10],
      ['b', 151],
    ],
    [],
  ],
  [
    'many',
    [
      ['a', 60],
      ['b', 60],
      ['c', 60],
    ],
    ['b', 'c'],
  ],
])('%s → the oldest go', (_what, files, left) => {
  for (const [index, [name, bytes]] of files.entries()) put(name, bytes, index + 1);
  makeOutputRoom(folder, ROOM);
  expect(readdirSync(folder).sort()).toEqual(left);
});

test('more than a file may hold → its beginning, and the notice says so', () => {
  const path = join(folder, 'long.txt');
  const log = createOutputLog(path, ROOM.maxFileBytes);
  for (const letter of ['a', 'b', 'c']) log.append(Buffer.from(letter.repeat(70_000)));
  expect(log.finish().notice).toBe(
    `[output truncated: the end of 210000 bytes follows; its first 100 bytes, all that is kept, are in ${path}]`,
  );
  expect(readFileSync(path, 'utf8')).toBe('a'.repeat(100));
});
