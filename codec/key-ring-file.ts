import { type FileHandle, open } from 'node:fs/promises';
import { type KeyRing, parseKeyRing } from './key-ring.ts';
import { KeyRingError } from './key-ring-error.ts';

/** A key ring that follows its file: a rotation needs no restart of anything. */
export interface KeyRingFile {
  readonly path: string;
  /** As of a few seconds ago at most. A file that was broken since counts as it was before. */
  current(): Promise<KeyRing>;
  /** As of a second ago at most: for a key that the ring lacks. */
  latest(): Promise<KeyRing>;
}

const CURRENT_MS = 5_000;
const LATEST_MS = 1_000;
/** Others may do nothing with it, and the group, that of a mounted secret, may read it. */
const FORBIDDEN_MODE = 0o037;
const MAX_BYTES = 1_000_000;

/** @throws {KeyRingError} naming the file and the remedy */
export async function openKeyRing(path: string): Promise<KeyRingFile> {
  let read = await readRing(path);
  let readAtMs = Date.now();
  let reading: Promise<void> | undefined;

  async function reread(): Promise<void> {
    try {
      read = await readRing(path);
    } catch {
      // What was read before still decrypts; who starts now is told what is wrong.
    } finally {
      readAtMs = Date.now();
      reading = undefined;
    }
  }

  async function readWithin(ageMs: number): Promise<KeyRing> {
    if (Date.now() - readAtMs >= ageMs) {
      reading ??= reread();
      await reading;
    }
    return read;
  }

  return { path, current: () => readWithin(CURRENT_MS), latest: () => readWithin(LATEST_MS) };
}

async function readRing(path: string): Promise<KeyRing> {
  return parseKeyRing(await readKeyRingText(path), path);
}

/** Text of a ring's file whose mode keeps it secret. */
export async function readKeyRingText(path: string): Promise<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const stats = await file.stat();
    if (!stats.isFile() || stats.size > MAX_BYTES) {
      throw new KeyRingError(`key ring ${path}: not a key ring; name the right file`);
    }
    if ((stats.mode & FORBIDDEN_MODE) !== 0) {
      const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
      throw new KeyRingError(
        `key ring ${path}: has mode ${mode}, so others can read or change it: chmod 600 ${path}, and ` +
          'rotate it if somebody may have read it',
      );
    }
    return await file.readFile('utf8');
  } catch (error) {
    if (error instanceof KeyRingError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new KeyRingError(
      `key ring ${path}: cannot be read (${reason}). DROVER_PAYLOAD_KEYS names it; ` +
        '`drover payload-keys create` makes one',
    );
  } finally {
    await file?.close();
  }
}
