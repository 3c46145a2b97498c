/**
 * Records as sealed files: `<folder>/<name>/<version>.json`. Whoever links the next version first
 * has written it, so processes need no lock among them, and one that dies leaves none. An earlier
 * version is emptied, not removed, so that nobody takes its number again.
 *
 * | crash | what is found |
 * |---|---|
 * | before the link | the earlier version, whole |
 * | after it | the new version; the earlier one is emptied by the next write |
 */
import { randomBytes } from 'node:crypto';
import { link, open, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FAILURE } from '../../protocol/failure.ts';
import type { VaultRecords } from '../records.ts';
import type { FolderSettings } from '../settings.ts';
import { VaultError } from '../vault-error.ts';
import { type KeyRing, makeKeyRing, readKeyRing } from './key-ring.ts';
import { makeFolder, syncFolder } from './make-folder.ts';
import { seal, unseal } from './seal.ts';

/** Emptied versions that stay: no writer is as many behind as this. */
const KEPT_NUMBERS = 64;
const READ_ATTEMPTS = 20;
const RECORD = /^([1-9]\d*)\.json$/;

export function createFolderRecords({ folder, key }: FolderSettings): VaultRecords {
  const folderOf = (name: string) => join(folder, name);

  async function ringToOpen(name: string): Promise<KeyRing> {
    const ring = await readKeyRing(key);
    if (ring !== undefined) return ring;
    throw lost(name, key, folder);
  }

  /** The first record makes the key; later it can only have been lost. */
  async function ringToSeal(name: string): Promise<KeyRing> {
    const ring = await readKeyRing(key);
    if (ring !== undefined) return ring;
    const there = await listFolder(join(folder, 'vaults'));
    if (there.length > 0) throw lost(name, key, folder);
    return makeKeyRing(key);
  }

  return {
    async read(name) {
      const found = await worded(folder, () => readNewest(folderOf(name)));
      if (found === undefined) return undefined;
      const { text, version } = found;
      return { body: unseal(text, { name, version }, await ringToOpen(name)), version };
    },

    async write(name, body, replaces) {
      const version = replaces + 1;
      return worded(folder, async () => {
        const ring = await ringToSeal(name);
        const at = folderOf(name);
        await makeFolder(at);
        if ((await versionsIn(at)).at(-1) !== (replaces === 0 ? undefined : replaces)) return;
        const isFirst = await linkNew(at, version, seal(body, { name, version }, ring));
        if (!isFirst) return;
        await syncFolder(at);
        await emptyBefore(at, version);
        return version;
      });
    },

    async list(of) {
      const names = await worded(folder, () => listFolder(folderOf(of)));
      return names.filter((name) => !name.startsWith('.')).sort();
    },

    // A write has emptied them.
    forgetBefore: async () => {},
    close: () => {},
  };
}

/** @returns False when the version is taken. */
async function linkNew(at: string, version: number, text: string): Promise<boolean> {
  const part = join(at, `.${randomBytes(6).toString('hex')}.part`);
  const file = await open(part, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
    await link(part, join(at, `${version}.json`));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await file.close();
    await unlink(part);
  }
}

/** Two, since the writer of the last one may have died before it emptied the one before. */
async function emptyBefore(at: string, version: number): Promise<void> {
  for (const earlier of await versionsIn(at)) {
    const path = join(at, `${earlier}.json`);
    if (earlier <= version - KEPT_NUMBERS) await unlink(path).catch(unlessGone);
    else if (earlier >= version - 2 && earlier < version) await empty(path);
  }
}

/** Whoever reads it still reads it whole. */
async function empty(path: string): Promise<void> {
  const part = `${path}.${randomBytes(6).toString('hex')}.part`;
  await writeFile(part, '', { flag: 'wx', mode: 0o600 });
  await rename(part, path);
}

interface Found {
  readonly text: string;
  readonly version: number;
}

/** A newest version that is empty or gone is not the newest any more. */
async function readNewest(at: string): Promise<Found | undefined> {
  for (let attempt = 0; attempt < READ_ATTEMPTS; attempt += 1) {
    const version = (await versionsIn(at)).at(-1);
    if (version === undefined) return undefined;
    const text = await readFile(join(at, `${version}.json`), 'utf8').catch(unlessGone);
    if (text) return { text, version };
  }
  throw new VaultError(
    FAILURE.vaultUnavailable,
    `the vault's record in ${at} is empty, or was written each time that it was read`,
  );
}

/** Oldest first. */
async function versionsIn(at: string): Promise<readonly number[]> {
  const names = await listFolder(at);
  const versions = names.map((name) => Number(RECORD.exec(name)?.[1] ?? 0));
  return versions.filter((version) => version > 0).sort((one, other) => one - other);
}

async function listFolder(path: string): Promise<readonly string[]> {
  return (await readdir(path).catch(unlessGone)) ?? [];
}

function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function worded<Result>(folder: string, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof VaultError) throw error;
    const { code = 'unknown error', syscall = 'used' } = error as NodeJS.ErrnoException;
    throw new VaultError(
      FAILURE.vaultUnavailable,
      `the vault in ${folder} cannot be used (${syscall}: ${code}): its folder must be writable by ` +
        'this user, on a disk with room and hard links',
      { cause: error },
    );
  }
}

function lost(name: string, key: FolderSettings['key'], folder: string): VaultError {
  const where = key.type === 'file' ? key.path : 'DROVER_VAULT_KEY';
  return new VaultError(
    FAILURE.vaultKeyInvalid,
    `the key of the vault in ${folder} is lost: ${where} is not there, so ${name} cannot be used. ` +
      'Put the key back, or name another folder and create its credentials anew',
  );
}
