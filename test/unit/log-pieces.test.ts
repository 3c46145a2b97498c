import { getEventListeners } from 'node:events';
import { describe, expect, test, vi } from 'vitest';
import { checkCursor } from '../../log/cursor.ts';
import { inOrder } from '../../log/in-order.ts';
import { CursorAbandonedError, CursorMalformedError } from '../../log/index.ts';
import { comparePositions, formatPosition, parsePosition, runTag } from '../../log/position.ts';
import { startRun } from '../../log/run-state.ts';
import { createSharedRequests } from '../../log/shared-requests.ts';
import { createStepCache } from '../../log/step-cache.ts';
import { collect } from '../support/collect.ts';

// Pure: no server, no worker, no clock.

describe('positions', () => {
  const tag = 'abcdef01';
  const ascending = [
    { run: 0, event: 1, item: 0, tag },
    { run: 0, event: 1, item: 10, tag },
    { run: 0, event: 2, item: 9, tag },
    { run: 0, event: 51_200, item: 0, tag },
    { run: 1, event: 1, item: 0, tag },
    { run: 12, event: 1, item: 0, tag },
  ];

  test('sort as strings in the order of the log, whatever their tags', () => {
    const positions = ascending.map(formatPosition);
    expect([...positions].sort()).toEqual(positions);
    expect(positions.map(parsePosition)).toEqual(ascending);
    const [first = '', second = ''] = positions;
    expect(comparePositions(first, second)).toBeLessThan(0);
    expect(comparePositions(second, first)).toBeGreaterThan(0);
    expect(comparePositions(first, first.replace(tag, '00000000'))).toBe(0);
  });

  test('tags tell runs apart that began in the same minute', () => {
    const one = runTag('01a1fd2c-ddf0-79c3-b210-0bf84d397a73');
    const other = runTag('01a1fd2c-e1f1-79c3-a210-1cf84d397b74');
    expect(one).not.toBe(other);
    expect(one).toHaveLength(8);
  });

  test.each(['', 'x', '1-2-3-abcdef01', '00000-000001-00000-ABCDEF01', '00000-000001-00000'])(
    '"%s" → refused',
    (cursor) => expect(() => parsePosition(cursor)).toThrow(CursorMalformedError),
  );
});

describe('cursors', () => {
  const [old, fresh] = ['a'.repeat(8), 'b'.repeat(8)];
  const state = {
    ...startRun(0),
    last_event_id: 20,
    identities: [
      { from_event: 1, run_id: old },
      { from_event: 10, run_id: fresh },
    ],
  };
  test.each([
    ['before the reset, by the old run', 9, old, true],
    ['at the reset, by the new run', 10, fresh, true],
    ['after the reset, by the old run', 10, old, false],
    ['before the reset, by the new run', 9, fresh, false],
    ['past the end', 21, fresh, false],
  ])('%s → %s %s %s', (_name, event, tag, isFine) => {
    const position = { run: 0, event, item: 0, tag };
    const check = () => checkCursor('c', position, { sessionId: 's', state });
    if (isFine) expect(check).not.toThrow();
    else expect(check).toThrow(CursorAbandonedError);
  });

  test('in a run that the chain does not have → refused', () => {
    const position = { run: 3, event: 1, item: 0, tag: old };
    const check = () => checkCursor('c', position, { sessionId: 's', state: undefined });
    expect(check).toThrow(CursorAbandonedError);
  });
});

describe('inOrder', () => {
  test('gives results in the order of inputs, with bounded concurrency', async () => {
    let underWay = 0;
    let most = 0;
    const results = await collect(
      inOrder([5, 1, 4, 2, 3], 2, async (turns) => {
        underWay += 1;
        most = Math.max(most, underWay);
        for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
        underWay -= 1;
        return turns;
      }),
    );
    expect(results).toEqual([5, 1, 4, 2, 3]);
    expect(most).toBe(2);
  });

  test('starts no more than it is asked for', async () => {
    const started: number[] = [];
    const calls = inOrder([1, 2, 3, 4], 1, async (input) => started.push(input));
    for await (const _ of calls) break;
    expect(started).toEqual([1]);
  });

  test('throws a failure when its turn comes', async () => {
    const calls = inOrder([1, 2], 2, async (input) => {
      if (input === 2) throw new RangeError('two');
      return input;
    });
    expect((await calls.next()).value).toBe(1);
    await expect(calls.next()).rejects.toThrow('two');
  });
});

describe('createSharedRequests', () => {
  test('gives every reader of a place the result of one request, and leaves no listener', async () => {
    const join = createSharedRequests<number>();
    const { signal } = new AbortController();
    const call = vi.fn(async () => 7);
    expect(await Promise.all([join('a', call, signal), join('a', call, signal)])).toEqual([7, 7]);
    expect(call).toHaveBeenCalledTimes(1);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  test('asks apart for other places, and anew once a request has ended', async () => {
    const join = createSharedRequests<number>();
    const { signal } = new AbortController();
    const call = vi.fn(async () => 7);
    await Promise.all([join('a', call, signal), join('b', call, signal)]);
    await join('a', call, signal);
    expect(call).toHaveBeenCalledTimes(3);
  });

  test('tells every reader of a failure, and forgets it', async () => {
    const join = createSharedRequests<number>();
    const { signal } = new AbortController();
    const fail = () => Promise.reject(new Error('no'));
    const failed = [join('a', fail, signal), join('a', fail, signal)];
    for (const reader of failed) await expect(reader).rejects.toThrow('no');
    expect(await join('a', async () => 7, signal)).toBe(7);
  });

  test('cancels a request when its last reader has left, and swallows how it ends', async () => {
    const cancelled = Promise.withResolvers<number>();
    const ended: AbortSignal[] = [];
    const join = createSharedRequests<number>(async (signal, call) => {
      ended.push(signal);
      signal.addEventListener('abort', () => cancelled.reject(new Error('cancelled')));
      return call();
    });
    const [first, second] = [new AbortController(), new AbortController()];
    const readers = [first, second].map(({ signal }) => join('a', () => cancelled.promise, signal));
    first.abort();
    expect(await readers[0]).toBe(undefined);
    expect(ended[0]?.aborted).toBe(false);
    second.abort();
    expect(await readers[1]).toBe(undefined);
    expect(ended[0]?.aborted).toBe(true);
    await expect(cancelled.promise).rejects.toThrow('cancelled');
  });

  test('a reader that comes after a cancellation does not join what was cancelled', async () => {
    const join = createSharedRequests<number>();
    const leaving = new AbortController();
    const left = join('a', () => new Promise(() => {}), leaving.signal);
    leaving.abort();
    await left;
    expect(await join('a', async () => 7, new AbortController().signal)).toBe(7);
  });

  test('does not call at all once aborted', async () => {
    const call = () => Promise.reject(new Error('called'));
    expect(await createSharedRequests<number>()('a', call, AbortSignal.abort())).toBe(undefined);
  });
});

describe('the cache of step logs', () => {
  const log = (runIndex: number) => ({
    state: startRun(runIndex),
    events: [],
    steps: new Map(),
    suggestedAt: null,
  });

  test('drops the least recently used, counting runs', () => {
    const cache = createStepCache(4);
    cache.set('a', log(0));
    cache.set('b', log(1));
    cache.get('a');
    cache.set('c', log(1));
    expect(cache.get('b')).toBe(undefined);
    expect(cache.get('a')).toBeDefined();
    expect(cache.get('c')).toBeDefined();
  });

  test('keeps the newest, however long its chain', () => {
    const cache = createStepCache(2);
    cache.set('a', log(0));
    cache.set('long', log(9));
    expect(cache.get('a')).toBe(undefined);
    expect(cache.get('long')).toBeDefined();
  });

  test('replacing and deleting give room back', () => {
    const cache = createStepCache(2);
    cache.set('a', log(0));
    cache.set('a', log(0));
    cache.set('b', log(0));
    expect(cache.get('a')).toBeDefined();
    cache.delete('a');
    cache.set('c', log(0));
    expect(cache.get('b')).toBeDefined();
  });
});
