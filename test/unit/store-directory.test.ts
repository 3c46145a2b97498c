import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { folderUrl, openStore } from '../../store/open-store.ts';
import type { Store } from '../../store/store.ts';
import { describeStore } from '../support/store-conformance.ts';

const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'drover-store-'));
  made.push(folder);
  return folder;
}

function openFolder(folder: string): Promise<Store> {
  return openStore(folderUrl(folder));
}

const whole = mkdtempSync(join(tmpdir(), 'drover-store-'));
describeStore('a store in a folder', async () => ({
  store: await openFolder(join(whole, 'deep', 'store')),
  close: async () => rmSync(whole, { recursive: true, force: true }),
}));

describe('a store in a folder', () => {
  test('what is in it is for its owner alone', async () => {
    const folder = join(newFolder(), 'store');
    const store = await openFolder(folder);
    await store.put('a/b', Readable.from(['secret']));
    const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    expect([folder, `${folder}/a`, `${folder}/a/b`].map(modeOf)).toEqual(['700', '700', '600']);
  });

  test('nothing half written stays but what a killed writer left, and that for a day', async () => {
    const folder = newFolder();
    const drafts = join(folder, '.drafts');
    mkdirSync(drafts);
    for (const name of ['old', 'fresh']) writeFileSync(join(drafts, name), 'half');
    utimesSync(join(drafts, 'old'), 1, 1);
    const store = await openFolder(folder);
    const broken = Readable.from(
      (async function* () {
        yield 'half';
        throw new Error('broke');
      })(),
    );
    await expect(store.put('a', broken)).rejects.toThrow('broke');
    await store.put('b', Readable.from(['whole']));
    await store.putNew('c', Readable.from(['whole']));
    expect(readdirSync(drafts)).toEqual(['fresh']);
  });

  test('a link in the place of a folder or a blob → refused, and nothing outside is touched', async () => {
    const outside = newFolder();
    const folder = newFolder();
    const store = await openFolder(folder);
    writeFileSync(join(outside, 'file'), 'theirs');
    symlinkSync(outside, join(folder, 'linked'));
    symlinkSync(join(outside, 'file'), join(folder, 'blob'));
    const refused = { problem: 'refused' };
    await expect(store.put('linked/new', Readable.from(['x']))).rejects.toMatchObject(refused);
    await expect(store.get('linked/file')).rejects.toMatchObject(refused);
    await expect(store.get('blob')).rejects.toMatchObject(refused);
    await expect(store.delete('linked/file')).rejects.toMatchObject(refused);
    await expect(store.deleteAll('linked/sub/')).rejects.toMatchObject(refused);
    await expect(Array.fromAsync(store.list('linked/'))).rejects.toMatchObject(refused);
    expect(await Array.fromAsync(store.list(''))).toEqual([]);
    await store.put('blob', Readable.from(['ours']));
    expect(readdirSync(outside)).toEqual(['file']);
    expect(statSync(join(outside, 'file')).size).toBe('theirs'.length);
  });

  test.skipIf(process.getuid?.() === 0)('it may not be written → its path and why', async () => {
    const folder = newFolder();
    chmodSync(folder, 0o500);
    const store = await openFolder(join(folder, 'store'));
    await expect(store.verify()).rejects.toThrow(/store file:.* cannot be used: EACCES/);
  });

  test('a file stands where its folder should → its path and why', async () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, '');
    const store = await openFolder(join(file, 'store'));
    await expect(store.verify()).rejects.toThrow(
      /store file:.*file\/store cannot be used: ENOTDIR/,
    );
  });

  test('a source that a file failed → its own words, not the store’s', async () => {
    const { createReadStream } = await import('node:fs');
    const store = await openFolder(newFolder());
    const put = store.put('a', createReadStream('/no/such/file'));
    await expect(put).rejects.toMatchObject({ code: 'ENOENT', path: '/no/such/file' });
  });

  test('opened and not used → nothing is made', async () => {
    const folder = join(newFolder(), 'store');
    await openFolder(folder);
    expect(existsSync(folder)).toBe(false);
  });
});

describe('DROVER_STORE', () => {
  test.each([
    ['/a/folder', 'must be file:///folder or s3://bucket/prefix'],
    ['file://host/folder', 'needs three slashes'],
    ['file:///', 'must be file:///folder'],
    ['s3://', 'must be file:///folder or s3://bucket/prefix'],
    ['s3://Bucket', 'must be file:///folder or s3://bucket/prefix'],
    ['s3://bucket/?region=x', 'must be file:///folder or s3://bucket/prefix'],
    ['gs://bucket', 'must be file:///folder or s3://bucket/prefix'],
    ['s3://key:secret@bucket', 'must hold no key'],
  ])('%s → %s', async (url, words) => {
    const opening = openStore(url);
    await expect(opening).rejects.toMatchObject({ name: 'StoreError', problem: 'refused' });
    await expect(opening).rejects.toThrow(words);
    await expect(opening).rejects.toThrow(/^DROVER_STORE: /);
    await expect(opening).rejects.not.toThrow('secret');
  });
});
