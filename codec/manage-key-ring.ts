import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import { createKeyRing, type PayloadKey, rotateKeyRing } from './key-ring.ts';
import { KeyRingError } from './key-ring-error.ts';
import { readKeyRingText } from './key-ring-file.ts';

const SECRET_MODE = 0o600;

/** Makes the file of a ring with one key. @throws {KeyRingError} when the file exists */
export async function createKeyRingFile(path: string): Promise<PayloadKey> {
  const { text, key } = createKeyRing(new Date());
  await write(path, text).catch((error: unknown) => {
    if (isExisting(error)) {
      throw new KeyRingError(
        `key ring ${path}: exists already; rotate adds a key to it, and what it encrypted needs it`,
      );
    }
    throw new KeyRingError(`key ring ${path}: cannot be made (${wordsOf(error)})`);
  });
  return key;
}

/**
 * Adds a key that encrypts from now plus `delayMs` on; the earlier ones go on decrypting. The file is
 * replaced whole, so that nobody ever reads half of it.
 *
 * @throws {KeyRingError}
 */
export async function rotateKeyRingFile(path: string, delayMs: number): Promise<PayloadKey> {
  const text = await readKeyRingText(path);
  const target = await realpath(path);
  // Also the lock: of two rotations at once one would lose the other's key.
  const partial = `${target}.rotating`;
  const now = new Date();
  const encryptsFrom = new Date(now.getTime() + delayMs);
  const rotated = rotateKeyRing(text, path, { now, encryptsFrom });
  const { mode } = await stat(target);
  await write(partial, rotated.text, mode & 0o777).catch((error: unknown) => {
    if (isExisting(error)) {
      throw new KeyRingError(
        `key ring ${path}: another rotation is under way, or was cut off: see that none runs, then rm ${partial}`,
      );
    }
    throw new KeyRingError(`key ring ${path}: cannot be rotated (${wordsOf(error)})`);
  });
  try {
    if ((await readKeyRingText(path)) !== text) {
      throw new KeyRingError(`key ring ${path}: was rotated by somebody else just now; try again`);
    }
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return rotated.key;
}

async function write(path: string, text: string, mode = SECRET_MODE): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST';
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
