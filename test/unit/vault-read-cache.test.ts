import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createReadCache } from '../../vault/read-cache.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

function counting(options: { readonly maxEntries?: number } = {}) {
  const reads: string[] = [];
  const pending: PromiseWithResolvers<string>[] = [];
  const cache = createReadCache<string>({
    keptMs: 5_000,
    maxEntries: options.maxEntries ?? 10,
    read(name) {
      reads.push(name);
      const next = Promise.withResolvers<string>();
      pending.push(next);
      return next.promise;
    },
  });
  return { cache, reads, pending };
}

test('readers at the same time, and soon after → one read', async () => {
  const { cache, reads, pending } = counting();
  const both = [cache.get('a'), cache.get('a')];
  pending[0]?.resolve('one');
  expect(await Promise.all(both)).toEqual(['one', 'one']);
  vi.advanceTimersByTime(4_999);
  expect(await cache.get('a')).toBe('one');
  expect(reads).toEqual(['a']);
  vi.advanceTimersByTime(1);
  void cache.get('a');
  expect(reads).toEqual(['a', 'a']);
});

test('the time of a slow read counts from its beginning, but it is shared until it ends', () => {
  const { cache, reads, pending } = counting();
  void cache.get('a');
  vi.advanceTimersByTime(60_000);
  void cache.get('a');
  expect(reads).toHaveLength(1);
  pending[0]?.resolve('old');
});

test('a failed read → not kept, and told to all who waited', async () => {
  const { cache, reads, pending } = counting();
  const both = [cache.get('a'), cache.get('a')];
  pending[0]?.reject(new Error('away'));
  for (const one of both) await expect(one).rejects.toThrow('away');
  void cache.get('a');
  expect(reads).toHaveLength(2);
});

test('a refresh does not join a read that began before it', async () => {
  const { cache, pending } = counting();
  const before = cache.get('a');
  const after = cache.refresh('a');
  pending[0]?.resolve('old');
  expect(await before).toBe('old');
  await vi.waitUntil(() => pending.length === 2);
  pending[1]?.resolve('new');
  expect(await after).toBe('new');
  expect(await cache.get('a')).toBe('new');
});

test('many refreshes at once → two reads, the second after the last of them', async () => {
  const { cache, reads, pending } = counting();
  const all = Array.from({ length: 100 }, () => cache.refresh('a'));
  pending[0]?.reject(new Error('away'));
  await expect(all[0]).rejects.toThrow('away');
  await vi.waitUntil(() => pending.length === 2);
  pending[1]?.resolve('new');
  expect(await Promise.all(all.slice(1))).toEqual(Array(99).fill('new'));
  expect(reads).toHaveLength(2);
});

test('more names than it keeps → the oldest is read again', async () => {
  const { cache, reads, pending } = counting({ maxEntries: 2 });
  for (const name of ['a', 'b', 'c']) {
    const value = cache.get(name);
    pending.at(-1)?.resolve(name);
    await value;
  }
  await cache.get('c');
  void cache.get('a');
  expect(reads).toEqual(['a', 'b', 'c', 'a']);
});
