import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { resultOfLostCall } from '../../activities/hands/local/lost-call.ts';
import { inputHash, keyOf } from '../../hand/call-key.ts';
import { openJournal } from '../../hand/journal.ts';
import { compactJournal } from '../../hand/journal-compaction.ts';
import { journalPath } from '../../hand/journal-file.ts';
import { OUTCOME } from '../../hand/outcome.ts';

const { fdatasync } = vi.hoisted(() => ({ fdatasync: vi.fn() }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  fdatasync.mockImplementation(fs.fdatasyncSync);
  return { ...fs, fdatasyncSync: fdatasync };
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-'));
  fdatasync.mockClear();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const KEY = { session_id: 's', call_id: 'toolu_1' };
const key = keyOf(KEY);
const result = { text: 'said "it"\n', is_error: false };

/** What a journal holds after these states were written and the daemon was started again. */
function reopenedAfter(states: readonly ('queued' | 'running' | 'done' | 'cancelled')[]) {
  const journal = openJournal(folder);
  for (const state of states) {
    if (state === 'done') journal.write({ key, state, result }, 'process');
    else journal.write({ key, state, hash: 'h' }, 'process');
  }
  journal.close();
  return openJournal(folder);
}

describe('a restarted daemon', () => {
  test.each([
    { states: ['queued', 'running', 'done'] as const, state: 'done', says: result },
    { states: ['queued', 'running'] as const, state: 'done', says: OUTCOME.unknown },
    { states: ['queued'] as const, state: 'done', says: OUTCOME.neverRan },
  ])('$states → $state', ({ states, state, says }) => {
    const journal = reopenedAfter(states);
    expect(journal.find(key)).toMatchObject({ state, hash: 'h' });
    expect(journal.result(key)).toEqual(says);
    journal.close();
  });

  test('a tombstone stays one', () => {
    const journal = reopenedAfter(['cancelled']);
    expect(journal.find(key)?.state).toBe('cancelled');
    journal.close();
  });
});

describe('what is on disk', () => {
  test('`disk` is synced, `process` is not', () => {
    const journal = openJournal(folder);
    journal.write({ key, state: 'queued', hash: 'h' }, 'process');
    expect(fdatasync).toHaveBeenCalledTimes(0);
    journal.write({ key, state: 'running', hash: 'h' }, 'disk');
    expect(fdatasync).toHaveBeenCalledTimes(1);
    journal.close();
  });

  test('a line torn by a power cut is skipped, and what follows it is read', () => {
    openJournal(folder).write({ key, state: 'running', hash: 'h' }, 'process');
    appendFileSync(journalPath(folder), '{"key":"torn","sta');
    const journal = openJournal(folder);
    journal.write({ key: 'after', state: 'running', hash: 'h2' }, 'process');
    journal.write({ key: 'after', state: 'done', result }, 'process');
    journal.close();
    const again = openJournal(folder);
    expect(again.find(key)?.state).toBe('done');
    expect(again.result('after')).toEqual(result);
    expect(again.find('torn')).toBeUndefined();
    again.close();
  });

  test('results are read back from disk, whole, however many and long', () => {
    const journal = openJournal(folder);
    const textOf = (index: number): string => `${index}ä`.repeat(index * 1_000);
    for (let index = 0; index < 100; index += 1) {
      journal.write(
        { key: String(index), state: 'done', result: { text: textOf(index), is_error: false } },
        'process',
      );
    }
    journal.close();
    const again = openJournal(folder);
    for (let index = 0; index < 100; index += 1) {
      expect(again.result(String(index)).text).toBe(textOf(index));
    }
    again.close();
  });

  test('lines that are none of ours are skipped', () => {
    writeFileSync(
      journalPath(folder),
      'null\n[]\n{"key":5,"state":"done"}\n{"key":"k","state":"done"}\n{"key":"k","state":"done","result":{"text":1}}\n\n',
    );
    const journal = openJournal(folder);
    expect(journal.find('k')).toBeUndefined();
    journal.close();
  });
});

describe('a journal that has grown long', () => {
  test('keeps every call known, and late results', () => {
    const journal = openJournal(folder);
    journal.write({ key: 'stone', state: 'cancelled' }, 'process');
    for (let index = 0; index < 200; index += 1) {
      const name = String(index);
      journal.write({ key: name, state: 'queued', hash: `h${name}` }, 'process');
      journal.write({ key: name, state: 'running', hash: `h${name}` }, 'process');
      const text = `${name} ${'x'.repeat(1_000)}`;
      journal.write({ key: name, state: 'done', result: { text, is_error: false } }, 'process');
    }
    journal.close();
    compactJournal(folder, { maxBytes: 1_000_000, keptBytes: 20_000 });
    expect(statSync(journalPath(folder)).size).toBeGreaterThan(200_000);
    compactJournal(folder, { maxBytes: 100_000, keptBytes: 20_000 });
    expect(statSync(journalPath(folder)).size).toBeLessThan(70_000);
    const again = openJournal(folder);
    expect(again.find('stone')?.state).toBe('cancelled');
    for (let index = 0; index < 200; index += 1) {
      expect(again.find(String(index))).toMatchObject({ state: 'done', hash: `h${index}` });
    }
    expect(again.result('0')).toEqual(OUTCOME.forgotten);
    expect(again.result('199').text).toMatch(/^199 x/);
    again.close();
  });
});

test('a journal in use is shortened when it grows, its unfinished calls and late results kept', () => {
  const journal = openJournal(folder, { maxBytes: 100_000, keptBytes: 20_000 });
  journal.write({ key: 'live', state: 'running', hash: 'h' }, 'disk');
  for (let index = 0; index < 500; index += 1) {
    const text = `${index} ${'x'.repeat(1_000)}`;
    const done = { key: String(index), state: 'done', result: { text, is_error: false } } as const;
    journal.write({ ...done, hash: 'h' }, 'process');
    expect(journal.result(String(index)).text).toBe(text);
  }
  expect(statSync(journalPath(folder)).size).toBeLessThan(150_000);
  expect(journal.find('live')).toMatchObject({ state: 'running', hash: 'h' });
  expect(journal.find('0')).toMatchObject({ state: 'done', hash: 'h' });
  expect(journal.result('0')).toEqual(OUTCOME.forgotten);
  journal.write({ key: 'live', state: 'done', result }, 'process');
  journal.close();
  const again = openJournal(folder);
  expect(again.result('live')).toEqual(result);
  again.close();
});

describe('a command has put in the place of the journal', () => {
  const elsewhere = (): string => join(folder, 'elsewhere');
  test.each<[string, (path: string) => void]>([
    ['a link', (path) => symlinkSync(elsewhere(), path)],
    ['a pipe', (path) => void execFileSync('mkfifo', [path])],
    ['a folder', (path) => void mkdirSync(join(path, 'in'), { recursive: true })],
    ['a file that nobody may read', (path) => writeFileSync(path, '', { mode: 0 })],
  ])('%s → a new journal, and nothing elsewhere', (_what, put) => {
    writeFileSync(elsewhere(), 'mine');
    put(journalPath(folder));
    const journal = openJournal(folder);
    journal.write({ key, state: 'done', result }, 'disk');
    journal.close();
    const again = openJournal(folder);
    expect(again.result(key)).toEqual(result);
    again.close();
    expect(readFileSync(elsewhere(), 'utf8')).toBe('mine');
  });

  test.each<[string, (path: string) => void]>([
    ['a link', (path) => symlinkSync(elsewhere(), path)],
    ['a pipe', (path) => void execFileSync('mkfifo', [path])],
  ])('%s, where its shortened form is written → shortened all the same', (_what, put) => {
    writeFileSync(elsewhere(), 'mine');
    const text = 'x'.repeat(1_000);
    const lines = Array.from({ length: 10 }, (_, index) =>
      JSON.stringify({ key: String(index), state: 'done', result: { text, is_error: false } }),
    );
    writeFileSync(journalPath(folder), `${lines.join('\n')}\n`);
    put(`${journalPath(folder)}.draft`);
    compactJournal(folder, { maxBytes: 1_000, keptBytes: 100 });
    expect(statSync(journalPath(folder)).size).toBeLessThan(5_000);
    expect(readFileSync(elsewhere(), 'utf8')).toBe('mine');
  });
});

describe('a call whose hand is gone', () => {
  const write = (lines: readonly object[]): void => {
    writeFileSync(journalPath(folder), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  };
  const running = { key, state: 'running', hash: 'h' };
  const queued = { key, state: 'queued', hash: 'h' };
  test.each([
    { lines: [queued, running, { key, state: 'done', result }], says: result },
    { lines: [queued, running], says: OUTCOME.unknown },
    { lines: [queued], says: OUTCOME.neverRan },
    { lines: [], says: OUTCOME.neverRan },
    { lines: [{ ...running, key: 'another' }], says: OUTCOME.neverRan },
    { lines: [{ key, state: 'cancelled' }], says: OUTCOME.cancelled },
  ])('$lines → $says.text', ({ lines, says }) => {
    write(lines);
    expect(resultOfLostCall(folder, KEY)).toEqual(says);
  });

  test('no journal → nobody can tell', () => {
    expect(resultOfLostCall(join(folder, 'none'), KEY)).toEqual(OUTCOME.unknown);
  });

  test('a link in its place is not followed', () => {
    const elsewhere = join(folder, 'elsewhere');
    writeFileSync(elsewhere, `${JSON.stringify({ key, state: 'done', result })}\n`);
    symlinkSync(elsewhere, journalPath(folder));
    expect(resultOfLostCall(folder, KEY)).toEqual(OUTCOME.unknown);
    expect(readFileSync(elsewhere, 'utf8')).toContain('done');
  });
});

describe('a journal that a command made 50 GB long', () => {
  beforeEach(() => {
    const journal = openJournal(folder);
    journal.write({ key, state: 'queued', hash: 'h' }, 'process');
    journal.close();
    truncateSync(journalPath(folder), 50 * 1024 ** 3);
  });

  test('read by a worker → soon, nobody can tell', () => {
    const startedAt = performance.now();
    expect(resultOfLostCall(folder, KEY)).toEqual(OUTCOME.unknown);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test('opened by the next daemon → begun anew', () => {
    const journal = openJournal(folder);
    expect(statSync(journalPath(folder)).size).toBe(0);
    journal.write({ key, state: 'done', result }, 'process');
    expect(journal.result(key)).toEqual(result);
    journal.close();
  });
});

describe('the key of a call', () => {
  test.each([
    { a: { x: 1, y: { b: 1, a: 2 } }, b: { y: { a: 2, b: 1 }, x: 1 }, same: true },
    { a: { x: [1, 2] }, b: { x: [2, 1] }, same: false },
    { a: { x: 1 }, b: { x: '1' }, same: false },
    { a: { x: undefined }, b: {}, same: true },
  ])('inputs $a and $b are the same: $same', ({ a, b, same }) => {
    const hash = (input: object): string =>
      inputHash({ id: 'i', name: 'bash', input: { ...input } });
    expect(hash(a) === hash(b)).toBe(same);
  });

  test('the tool is part of what a call does', () => {
    const call = { id: 'i', input: { file_path: 'a' } };
    expect(inputHash({ ...call, name: 'read' })).not.toBe(inputHash({ ...call, name: 'write' }));
  });

  test('no session and call id can be mistaken for another pair', () => {
    expect(keyOf({ session_id: 'a","b', call_id: 'c' })).not.toBe(
      keyOf({ session_id: 'a', call_id: 'b","c' }),
    );
  });
});
