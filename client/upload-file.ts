import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { fileIdOf, fileKey } from '../store/places.ts';
import type { Store } from '../store/store.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';
import { withStoreErrors } from './errors/store-failed-error.ts';

export interface UploadedFile {
  /** To be named by a session's `resources`. */
  readonly id: string;
  readonly bytes: number;
}

/** The content is read twice: it is named by its hash. */
export async function uploadFile(store: Store, path: string): Promise<UploadedFile> {
  const { sha256, bytes } = await describe(path);
  const id = fileIdOf(sha256);
  const key = fileKey(id);
  return withStoreErrors(async () => {
    if ((await store.head(key))?.bytes === bytes) return { id, bytes };
    const stored = await store.put(key, createReadStream(path));
    if (stored.sha256 === sha256) return { id, bytes };
    await store.delete(key);
    throw new InvalidInputError(`file: ${path} changed as it was read; upload it again`);
  });
}

async function describe(path: string): Promise<{ sha256: string; bytes: number }> {
  try {
    const status = await stat(path);
    if (!status.isFile()) throw new Error('it is not a file');
    const hash = createHash('sha256');
    await pipeline(createReadStream(path), hash);
    return { sha256: hash.digest('hex'), bytes: status.size };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidInputError(`file: ${path} cannot be read (${reason})`);
  }
}
