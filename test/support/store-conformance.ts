import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Store, StoredBlob } from '../../store/store.ts';

const MIB = 1024 * 1024;

/** What every store must do; the same table for each. */
export function describeStore(
  name: string,
  open: () => Promise<{ readonly store: Store; close(): Promise<void> }>,
): void {
  describe(name, () => {
    let store: Store;
    let close: () => Promise<void>;
    beforeAll(async () => {
      ({ store, close } = await open());
    });
    afterAll(() => close());
    const has = async (key: string): Promise<boolean> => (await store.head(key)) !== undefined;
    const textAt = async (key: string): Promise<string | undefined> => {
      const content = await store.get(key);
      return content === undefined ? undefined : (await buffer(content)).toString('utf8');
    };

    test('can be used', () => expect(store.verify()).resolves.toBeUndefined());

    test.each([
      ['nothing', 0],
      ['a little', 10],
      ['more than is held at once', 40 * MIB],
    ])('%s → comes back as it was', async (_what, bytes) => {
      const stored = await store.put('blobs/one', noise(bytes));
      const hash = createHash('sha256');
      let read = 0;
      for await (const chunk of (await store.get('blobs/one')) ?? []) {
        hash.update(chunk as Buffer);
        read += (chunk as Buffer).length;
      }
      expect({ bytes: read, sha256: hash.digest('hex') }).toEqual(stored);
      expect(stored.bytes).toBe(bytes);
      expect(await store.head('blobs/one')).toEqual({ key: 'blobs/one', bytes });
    });

    test('far more than is held at once → memory stays as it is', async () => {
      const heldMib = (): number => process.memoryUsage().arrayBuffers / MIB;
      const before = heldMib();
      let most = 0;
      const source = noise(400 * MIB);
      const timer = setInterval(() => {
        most = Math.max(most, heldMib() - before);
      }, 5);
      await store.put('blobs/large', source);
      clearInterval(timer);
      expect(most).toBeLessThan(150);
      await store.delete('blobs/large');
    }, 60_000);

    test('what was never put → nothing', async () => {
      expect(await store.get('none/such')).toBeUndefined();
      expect(await store.head('none/such')).toBeUndefined();
      await expect(store.delete('none/such')).resolves.toBeUndefined();
      await expect(store.deleteAll('none/')).resolves.toBeUndefined();
      expect(await collect(store.list('none/'))).toEqual([]);
    });

    test('put again → the later one; put as new → refused, and the first one stays', async () => {
      await store.put('again', Readable.from(['first']));
      await store.put('again', Readable.from(['second']));
      await expect(store.putNew('again', Readable.from(['third']))).rejects.toMatchObject({
        problem: 'exists',
      });
      expect(await textAt('again')).toBe('second');
      await store.putNew('new', Readable.from(['one']));
      expect(await textAt('new')).toBe('one');
    });

    test('put as new by two at once → one is refused', async () => {
      const put = (text: string) => store.putNew('race', Readable.from([text]));
      const outcomes = await Promise.allSettled([put('a'), put('b')]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    });

    test.each([
      ['in its first bytes', 10],
      ['in its middle', 40 * MIB],
    ])('its source fails %s → that failure, and nothing is there', async (_where, bytes) => {
      const source = noise(bytes, new Error('the source broke'));
      await expect(store.put('torn', source)).rejects.toThrow('the source broke');
      expect(await has('torn')).toBe(false);
      expect(await collect(store.list('torn'))).toEqual([]);
    });

    test.each([
      ['before it is read', 0],
      ['in its middle', 20],
    ])(
      'its source is destroyed %s, without a word → a failure, and nothing is there',
      async (_when, chunks) => {
        let left = chunks;
        const source = new Readable({
          read() {
            if (left-- > 0) this.push(Buffer.alloc(MIB));
            else this.destroy();
          },
        });
        if (chunks === 0) source.destroy();
        await expect(store.put('cut', source)).rejects.toThrow();
        expect(await has('cut')).toBe(false);
      },
    );

    test('too large → refused, nothing is there, and the source is ended', async () => {
      const source = noise(40 * MIB);
      await expect(store.put('large', source, { maxBytes: 20 * MIB })).rejects.toMatchObject({
        problem: 'too_large',
      });
      expect(source.destroyed).toBe(true);
      expect(await has('large')).toBe(false);
      await store.put('large', noise(100), { maxBytes: 100 });
      expect(await has('large')).toBe(true);
    });

    test('given up while its source is silent → at once, and nothing is there', async () => {
      const abort = new AbortController();
      const source = new Readable({ read() {} });
      source.push('some');
      const put = store.put('silent', source, { signal: abort.signal });
      abort.abort(new Error('not wanted'));
      await expect(put).rejects.toThrow('not wanted');
      expect(source.destroyed).toBe(true);
      expect(await has('silent')).toBe(false);
    });

    test('given up while one is there → that one stays', async () => {
      await store.put('kept', Readable.from(['before']));
      const source = noise(40 * MIB, new Error('broke'));
      await expect(store.put('kept', source)).rejects.toThrow('broke');
      expect(await textAt('kept')).toBe('before');
    });

    test('listed by prefix, over pages; deleted by folder', async () => {
      const keys = Array.from({ length: 1_050 }, (_, index) => `many/${index % 3}/blob-${index}`);
      for (let start = 0; start < keys.length; start += 50) {
        const some = keys.slice(start, start + 50);
        await Promise.all(some.map((key) => store.put(key, Readable.from(['x']))));
      }
      await store.put('many-more', Readable.from(['stays']));
      const found = await collect(store.list('many/'));
      expect(found.map(({ key }) => key).sort()).toEqual([...keys].sort());
      expect(found.every(({ bytes }) => bytes === 1)).toBe(true);
      expect(await collect(store.list('many/1/blob-1'))).toHaveLength(
        keys.filter((key) => key.startsWith('many/1/blob-1')).length,
      );
      await store.delete('many/0/blob-0');
      expect(await has('many/0/blob-0')).toBe(false);
      await store.deleteAll('many/1/');
      expect(await collect(store.list('many/'))).toHaveLength(699);
      await store.deleteAll('many/');
      expect(await collect(store.list('many'))).toEqual([{ key: 'many-more', bytes: 5 }]);
    }, 60_000);

    test.each(['', '/a', 'a/', 'a//b', '../a', 'a/../b', '.drafts/a', 'a b', 'ü', 'a'.repeat(201)])(
      'key "%s" → refused',
      async (key) => {
        await expect(store.put(key, Readable.from(['x']))).rejects.toThrow('is no key of a store');
        await expect(store.get(key)).rejects.toThrow('is no key of a store');
        await expect(store.delete(key)).rejects.toThrow('is no key of a store');
      },
    );

    test('a folder that does not end in "/" → not deleted', () =>
      expect(store.deleteAll('many')).rejects.toThrow('does not end in "/"'));
  });
}

async function collect(blobs: AsyncIterable<StoredBlob>): Promise<StoredBlob[]> {
  return Array.fromAsync(blobs);
}

/** So many bytes that do not repeat, and then the failure. */
function noise(bytes: number, failure?: Error): Readable {
  const block = Buffer.from(
    Array.from({ length: 65_536 }, (_, index) => (index * 7919 + (index >> 8)) & 255),
  );
  return Readable.from(
    (async function* () {
      for (let sent = 0; sent < bytes; sent += block.length) {
        block.writeUInt32LE(sent);
        yield Buffer.from(block.subarray(0, Math.min(block.length, bytes - sent)));
      }
      if (failure !== undefined) throw failure;
    })(),
    { objectMode: false },
  );
}
