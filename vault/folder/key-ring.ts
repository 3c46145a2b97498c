import { createHash, randomBytes } from 'node:crypto';
import { link, open, readFile, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FAILURE } from '../../protocol/failure.ts';
import type { FolderSettings } from '../settings.ts';
import { VaultError } from '../vault-error.ts';
import { makeFolder, syncFolder } from './make-folder.ts';

export interface Key {
  /** Tells keys apart; says nothing of the key. */
  readonly id: string;
  readonly bytes: Buffer;
}

/** The first one seals; the others open what was sealed before a rotation. */
export type KeyRing = readonly [Key, ...Key[]];

const KEY_BYTES = 32;
const ID_CHARACTERS = 16;
/** The last one is that of a mounted secret. */
const CLOSED_MODES = new Set([0o600, 0o400, 0o440]);
const SHAPE = `one key on each line, the newest first, each the base64 of ${KEY_BYTES} bytes`;

/**
 * @returns Undefined when there is no key yet.
 * @throws VaultError `Vault.KeyInvalid`; nothing of a key is in its words.
 */
export async function readKeyRing(source: FolderSettings['key']): Promise<KeyRing | undefined> {
  if (source.type === 'given') return parseKeyRing(source.text.reveal(), 'DROVER_VAULT_KEY');
  const { path } = source;
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw invalid(`the vault's key file ${path} cannot be read (${error.code})`, error);
  });
  if (found === undefined) return undefined;
  const mode = found.mode & 0o777;
  if (!CLOSED_MODES.has(mode)) {
    throw invalid(
      `the vault's key file ${path} has mode ${mode.toString(8)}, so others may use it: chmod 600 ${path}`,
    );
  }
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw invalid(`the vault's key file ${path} cannot be read (${error.code})`, error);
  });
  return parseKeyRing(text, `the vault's key file ${path}`);
}

/** Makes the first key. Another process may have done so: then that one is it. */
export async function makeKeyRing(source: FolderSettings['key']): Promise<KeyRing> {
  if (source.type === 'given') return parseKeyRing(source.text.reveal(), 'DROVER_VAULT_KEY');
  const { path } = source;
  await makeFolder(dirname(path));
  const part = `${path}.${randomBytes(6).toString('hex')}.part`;
  const file = await open(part, 'wx', 0o600);
  try {
    await file.writeFile(`${randomBytes(KEY_BYTES).toString('base64')}\n`);
    await file.sync();
    await link(part, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await file.close();
    await unlink(part);
  }
  await syncFolder(dirname(path));
  const made = await readKeyRing(source);
  if (made === undefined) throw invalid(`the vault's key file ${path} went away as it was made`);
  return made;
}

function parseKeyRing(text: string, where: string): KeyRing {
  const lines = text.split(/\s+/).filter((line) => line !== '');
  const keys = lines.map((line, index) => {
    const bytes = Buffer.from(line, 'base64');
    if (bytes.length === KEY_BYTES && /^[A-Za-z0-9+/]+={0,2}$/.test(line)) return toKey(bytes);
    throw invalid(`${where} is malformed at key ${index + 1}: it must hold ${SHAPE}`);
  });
  const [newest, ...earlier] = keys;
  if (newest === undefined) throw invalid(`${where} is empty: it must hold ${SHAPE}`);
  return [newest, ...earlier];
}

function toKey(bytes: Buffer): Key {
  const digest = createHash('sha256').update('drover vault key\n').update(bytes).digest('hex');
  return { id: digest.slice(0, ID_CHARACTERS), bytes };
}

function invalid(message: string, cause?: unknown): VaultError {
  return new VaultError(FAILURE.vaultKeyInvalid, message, { cause });
}
