import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openVaultKeeper } from '../../vault/keeper.ts';
import { openRecords } from '../../vault/open-records.ts';
import type { VaultRecords } from '../../vault/records.ts';
import { makeVaultFolder, type VaultFolder } from '../support/vault-folder.ts';

const NAME = 'credentials/team/api';
const SECRET = 'canary-4711-of-the-folder';

let folder: VaultFolder;
let records: VaultRecords;
beforeEach(async () => {
  folder = await makeVaultFolder();
  records = openRecords(folder.settings());
});
afterEach(() => folder.remove());

const body = (value: string) => JSON.stringify({ value });

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((one) => join(one.parentPath, one.name));
}

test('what is written is read, whole, with its version', async () => {
  expect(await records.read(NAME)).toBeUndefined();
  expect(await records.write(NAME, body('one'), 0)).toBe(1);
  expect(await records.write(NAME, body('two'), 1)).toBe(2);
  expect(await records.read(NAME)).toEqual({ body: body('two'), version: 2 });
  expect(await records.list('credentials/team')).toEqual(['api']);
});

test('nothing on disk tells a value, an earlier one neither', async () => {
  await records.write(NAME, body(SECRET), 0);
  await records.write(NAME, body('another'), 1);
  const paths = await filesBelow(folder.path);
  expect(paths).toHaveLength(3);
  for (const path of paths) {
    const bytes = await readFile(path);
    expect(bytes.includes(SECRET), path).toBe(false);
    expect((await stat(path)).mode & 0o077, path).toBe(0);
  }
  expect(await readFile(join(folder.path, NAME, '1.json'), 'utf8')).toBe('');
});

test('a write over another version than the one that was read → refused', async () => {
  await records.write(NAME, body('one'), 0);
  await records.write(NAME, body('two'), 1);
  expect(await records.write(NAME, body('late'), 1)).toBeUndefined();
  expect(await records.write(NAME, body('first'), 0)).toBeUndefined();
  expect(await records.read(NAME)).toEqual({ body: body('two'), version: 2 });
});

test('of many who write over the same version one wins, 50 times over', async () => {
  const others = Array.from({ length: 8 }, () => openRecords(folder.settings()));
  await records.write(NAME, body('0'), 0);
  for (let round = 1; round <= 50; round += 1) {
    const written = await Promise.all(
      others.map((one, index) => one.write(NAME, body(`${round}-${index}`), round)),
    );
    const winners = written.flatMap((version, index) => (version === undefined ? [] : [index]));
    expect(winners).toHaveLength(1);
    expect(await records.read(NAME)).toEqual({
      body: body(`${round}-${winners[0]}`),
      version: round + 1,
    });
  }
  const left = await readdir(join(folder.path, NAME));
  expect(left.filter((name) => name.includes('part'))).toEqual([]);
});

test('a reader beside a writer → whole records alone', async () => {
  await records.write(NAME, body('x'.repeat(30_000)), 0);
  let isOver = false;
  const reading = (async () => {
    let reads = 0;
    for (; !isOver; reads += 1) {
      const record = await records.read(NAME);
      expect(JSON.parse(record?.body ?? '').value).toHaveLength(30_000);
    }
    return reads;
  })();
  for (let version = 1; version <= 80; version += 1) {
    await records.write(NAME, body(String(version % 10).repeat(30_000)), version);
  }
  isOver = true;
  expect(await reading).toBeGreaterThan(5);
  // Numbers of versions stay taken, but not for ever.
  expect((await readdir(join(folder.path, NAME))).length).toBeLessThan(70);
});

test('a record that was put elsewhere, or changed → does not open', async () => {
  await records.write(NAME, body(SECRET), 0);
  await records.write('credentials/team/other', body('mine'), 0);
  const path = join(folder.path, NAME, '1.json');
  const elsewhere = join(folder.path, 'credentials/team/other/1.json');
  await rename(path, elsewhere);
  await expect(records.read('credentials/team/other')).rejects.toMatchObject({
    type: 'Vault.KeyInvalid',
    message: expect.stringContaining('record credentials/team/other of the vault'),
  });
  const file = JSON.parse(await readFile(elsewhere, 'utf8'));
  const sealed = Buffer.from(file.sealed, 'base64');
  sealed[0] = (sealed[0] ?? 0) ^ 1;
  await writeFile(path, JSON.stringify({ ...file, sealed: sealed.toString('base64') }));
  await expect(records.read(NAME)).rejects.toThrow('does not open: it was changed');
  await writeFile(path, '{"format":1');
  await expect(records.read(NAME)).rejects.toThrow('does not open: it is no sealed record');
});

test('an earlier version in the place of the newest → does not open', async () => {
  await records.write(NAME, body('old'), 0);
  const old = await readFile(join(folder.path, NAME, '1.json'));
  await records.write(NAME, body('new'), 1);
  await writeFile(join(folder.path, NAME, '2.json'), old);
  await expect(records.read(NAME)).rejects.toThrow('does not open: it was changed');
});

test('a writer that died before it emptied the version before → the next one does', async () => {
  await records.write(NAME, body('one'), 0);
  const first = await readFile(join(folder.path, NAME, '1.json'));
  await records.write(NAME, body('two'), 1);
  await writeFile(join(folder.path, NAME, '1.json'), first);
  expect((await records.read(NAME))?.version).toBe(2);
  await records.write(NAME, body('three'), 2);
  expect(await readFile(join(folder.path, NAME, '1.json'), 'utf8')).toBe('');
});

const KEY = randomBytes(32).toString('base64');

test.each([
  ['mode 644', (path: string) => chmod(path, 0o644), /has mode 644.*chmod 600/],
  ['mode 660', (path: string) => chmod(path, 0o660), /has mode 660/],
  [
    'no base64',
    (path: string) => writeFile(path, 'hunter2 is my key'),
    /malformed at key 1.*32 bytes/,
  ],
  ['too short', (path: string) => writeFile(path, 'aHVudGVyMg==\n'), /malformed at key 1/],
  [
    'a second one malformed',
    (path: string) => writeFile(path, `${KEY}\nhunter2`),
    /malformed at key 2/,
  ],
  ['empty', (path: string) => writeFile(path, '\n'), /is empty: it must hold one key/],
  [
    'another key',
    (path: string) => writeFile(path, KEY),
    /is sealed with key [\da-f]{16}.*earlier key/,
  ],
  ['lost', (path: string) => unlink(path), /key of the vault in .* is lost.*Put the key back/],
])('a key file that is %s → said in words without it', async (_name, spoil, words) => {
  await records.write('vaults/team', body('team'), 0);
  await spoil(join(folder.path, 'key'));
  const error = await records.read('vaults/team').catch((caught: unknown) => caught as Error);
  expect(error).toMatchObject({ type: 'Vault.KeyInvalid', message: expect.stringMatching(words) });
  expect(JSON.stringify([error, String(error)])).not.toMatch(/hunter2|aHVudGVyMg/);
  expect(String(error)).not.toContain(KEY);
});

test.each([0o600, 0o400, 0o440])('a key file of mode %o → taken', async (mode) => {
  await records.write('vaults/team', body('team'), 0);
  await chmod(join(folder.path, 'key'), mode);
  expect((await records.read('vaults/team'))?.body).toBe(body('team'));
});

test('a lost key → no other one is made', async () => {
  await records.write('vaults/team', body('team'), 0);
  await unlink(join(folder.path, 'key'));
  await expect(records.write(NAME, body('more'), 0)).rejects.toThrow('is lost');
  await expect(stat(join(folder.path, 'key'))).rejects.toThrow('ENOENT');
});

test('a key file that cannot be read → said in words', async () => {
  await records.write('vaults/team', body('team'), 0);
  await unlink(join(folder.path, 'key'));
  await mkdir(join(folder.path, 'key'), { mode: 0o600 });
  await expect(records.read('vaults/team')).rejects.toThrow(/cannot be read \(EISDIR\)/);
});

test('a key from the environment → no key file', async () => {
  const given = openRecords(folder.settings({ DROVER_VAULT_KEY: KEY }));
  await given.write('vaults/team', body('team'), 0);
  expect(await readdir(folder.path)).toEqual(['vaults']);
  const other = randomBytes(32).toString('base64');
  const wrong = openRecords(folder.settings({ DROVER_VAULT_KEY: other }));
  await expect(wrong.read('vaults/team')).rejects.toThrow('is sealed with key');
  const rotated = openRecords(folder.settings({ DROVER_VAULT_KEY: `${other} ${KEY}` }));
  expect((await rotated.read('vaults/team'))?.body).toBe(body('team'));
});

test('a key is rotated → after the reseal the earlier one is not needed', async () => {
  const keeper = openVaultKeeper(folder.settings());
  await keeper.createVault({ id: 'team' });
  const auth = { type: 'git', url: 'https://git.example/team/' } as const;
  await keeper.createCredential({ vault_id: 'team', id: 'git', auth }, SECRET);
  const path = join(folder.path, 'key');
  const earlier = await readFile(path, 'utf8');
  await writeFile(path, `${KEY}\n${earlier}`);
  expect(await keeper.listCredentials('team')).toHaveLength(1);
  expect(await keeper.reseal()).toBe(2);
  await writeFile(path, KEY);
  expect(await keeper.listCredentials('team')).toMatchObject([{ id: 'git' }]);
  await writeFile(path, earlier);
  await expect(keeper.listCredentials('team')).rejects.toThrow('is sealed with key');
});

test('a folder that cannot be written → said in words, to be tried again', async () => {
  await writeFile(folder.path, 'a file in its place');
  await expect(records.write('vaults/team', body('team'), 0)).rejects.toMatchObject({
    type: 'Vault.Unavailable',
    message: expect.stringMatching(/the vault in .* cannot be used \(.*: (ENOTDIR|EEXIST)\)/),
  });
});

test('a writer that died before it wrote anything → no record, and others are listed', async () => {
  const keeper = openVaultKeeper(folder.settings());
  await keeper.createVault({ id: 'team' });
  await mkdir(join(folder.path, 'vaults', 'never'));
  await mkdir(join(folder.path, 'credentials', 'team', 'never'), { recursive: true });
  await writeFile(join(folder.path, 'vaults', 'never', '.0123.part'), 'cut');
  expect(await keeper.listVaults()).toMatchObject([{ id: 'team' }]);
  expect(await keeper.listCredentials('team')).toEqual([]);
  expect(await keeper.reseal()).toBe(3);
  await keeper.createVault({ id: 'never' });
  expect(await keeper.listVaults()).toHaveLength(2);
});

test('two processes that make the first key → one key', async () => {
  const makers = Array.from({ length: 8 }, () => openRecords(folder.settings()));
  await Promise.all(makers.map((maker, index) => maker.write(`vaults/v${index}`, body('v'), 0)));
  for (const name of await records.list('vaults')) {
    expect((await records.read(`vaults/${name}`))?.body).toBe(body('v'));
  }
});
