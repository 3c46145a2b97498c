import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CallConflictError, createHand, type Hand } from '../../hand/hand.ts';
import { type Journal, openJournal } from '../../hand/journal.ts';
import { journalPath } from '../../hand/journal-file.ts';
import type { HandTool, RunningCall } from '../../hand/tool.ts';

let folder: string;
let journal: Journal;
let ran: string[];
let release: (text: string) => void;
let call: RunningCall | undefined;

/** A tool that ends when the test says so, and notes what was on disk when it could take effect. */
const tool: HandTool = {
  hasEffects: true,
  run: (_input, running) =>
    new Promise((resolve) => {
      call = running;
      running.onStart();
      ran.push(readFileSync(journalPath(folder), 'utf8').trim().split('\n').at(-1) ?? '');
      release = (text) => resolve({ text, is_error: false });
      running.signal.addEventListener('abort', () => resolve({ text: 'stopped', is_error: true }));
    }),
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hand-'));
  journal = openJournal(folder);
  ran = [];
});
afterEach(() => {
  journal.close();
  rmSync(folder, { recursive: true, force: true });
});

const hand = (): Hand => createHand({ journal, tools: { tool } });
const ask = (to: Hand, input: object = {}, id = 'toolu_1') =>
  to.run('s', { id, name: 'tool', input: { ...input } }, () => {});

describe('a call', () => {
  test('is on disk as running before it can take effect', async () => {
    const result = ask(hand());
    expect(ran.map((line) => JSON.parse(line).state)).toEqual(['running']);
    release('done');
    expect(await result).toEqual({ text: 'done', is_error: false });
  });

  test('is synced to the disk before it runs if it can have effects, and only then', async () => {
    const synced: string[] = [];
    const watched: Journal = {
      ...journal,
      write(line, durability) {
        if (durability === 'disk') synced.push(`${line.key} ${line.state}`);
        journal.write(line, durability);
      },
    };
    const tools = { tool, look: { ...tool, hasEffects: false } };
    const one = createHand({ journal: watched, tools });
    for (const name of ['look', 'tool']) {
      const result = one.run('s', { id: name, name, input: {} }, () => {});
      expect(synced).toEqual(name === 'tool' ? ['["s","tool"] running'] : []);
      release('done');
      await result;
    }
  });

  test('new → runs; running → attaches; done → the stored result', async () => {
    const one = hand();
    const [first, second] = [ask(one), ask(one)];
    release('done');
    expect(await Promise.all([first, second])).toEqual([
      { text: 'done', is_error: false },
      { text: 'done', is_error: false },
    ]);
    expect(await ask(one)).toEqual({ text: 'done', is_error: false });
    // Another daemon on the same journal.
    expect(await ask(hand())).toEqual({ text: 'done', is_error: false });
    expect(ran).toHaveLength(1);
  });

  test('cut off by the end of its hand → unknown, and no result is stored', async () => {
    const one = hand();
    const result = ask(one);
    one.stopKeeping();
    release('session terminated');
    expect((await result).text).toMatch(/^Outcome unknown/);
    expect((await ask(hand())).text).toMatch(/^Outcome unknown/);
    expect(ran).toHaveLength(1);
  });

  test('same key, other input → a conflict, running or done', async () => {
    const one = hand();
    const first = ask(one, { x: 1 });
    await expect(ask(one, { x: 2 })).rejects.toThrow(CallConflictError);
    release('done');
    await first;
    await expect(ask(one, { x: 2 })).rejects.toThrow(CallConflictError);
    expect(ran).toHaveLength(1);
  });

  test('progress goes to all who wait', async () => {
    const one = hand();
    const seen: string[] = [];
    const watch = (name: string) =>
      one.run('s', { id: 'toolu_1', name: 'tool', input: {} }, ({ tail }) =>
        seen.push(`${name} ${tail}`),
      );
    const both = [watch('a'), watch('b')];
    call?.onProgress({ tail: 'x', output_bytes: 1 });
    // Who comes later begins with what there is.
    both.push(watch('c'));
    release('done');
    await Promise.all(both);
    expect(seen).toEqual(['a x', 'b x', 'c x']);
  });

  test('that the disk does not take → nothing runs, said in words', async () => {
    const full: Journal = {
      ...journal,
      write() {
        throw new Error('ENOSPC: no space left on device');
      },
    };
    const result = await createHand({ journal: full, tools: { tool } }).run(
      's',
      { id: 'toolu_1', name: 'tool', input: {} },
      () => {},
    );
    expect(result.text).toMatch(/ENOSPC.*: nothing ran\.$/);
    expect(ran).toEqual([]);
  });

  test('whose result the disk does not take is answered while the hand lives', async () => {
    const full: Journal = {
      ...journal,
      write(line, durability) {
        if (line.state === 'done') throw new Error('ENOSPC');
        journal.write(line, durability);
      },
    };
    const one = createHand({ journal: full, tools: { tool } });
    const first = ask(one);
    release('done');
    expect(await first).toEqual({ text: 'done', is_error: false });
    expect(await ask(one)).toEqual({ text: 'done', is_error: false });
    expect(ran).toHaveLength(1);
  });
});

describe('a cancel', () => {
  const key = { session_id: 's', call_id: 'toolu_1' };

  test('of a running call stops it', async () => {
    const one = hand();
    const result = ask(one);
    one.cancel(key);
    expect(await result).toEqual({ text: 'stopped', is_error: true });
  });

  test('of an unknown call leaves a tombstone: a late start does not run, on this daemon or the next', async () => {
    hand().cancel(key);
    for (const one of [hand(), hand()]) {
      const result = await ask(one);
      expect(result.is_error).toBe(true);
      expect(result.text).toMatch(/cancelled before it started: nothing ran/);
    }
    journal.close();
    journal = openJournal(folder);
    expect((await ask(hand())).text).toMatch(/nothing ran/);
    expect(ran).toEqual([]);
  });

  test('of a call that is done changes nothing', async () => {
    const one = hand();
    const first = ask(one);
    release('done');
    await first;
    one.cancel(key);
    expect(await ask(one)).toEqual({ text: 'done', is_error: false });
  });
});
