import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { OutputFile } from '../protocol/output-list.ts';
import { outputKey, type StoredSession } from '../store/places.ts';
import type { Store } from '../store/store.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';
import { StoreFailedError, withStoreErrors } from './errors/store-failed-error.ts';
import { createHashCheck } from './hash-check.ts';

export interface FetchedFile {
  /** Where it was written. */
  readonly path: string;
  readonly bytes: number;
}

const DRAFT_FLAGS =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Writes a file that a sandbox named into a folder, and nowhere else: links in the folder are not
 * followed. It is there whole, or not at all.
 */
export async function fetchFile(
  store: Store,
  session: StoredSession,
  file: OutputFile,
  folder: string,
): Promise<FetchedFile> {
  const content = await withStoreErrors(() => store.get(outputKey(session, file.sha256)));
  if (content === undefined) {
    throw new StoreFailedError(
      `the store ${store.url} has not the content of "${file.path}"; is it the one the workers use (DROVER_STORE)?`,
    );
  }
  try {
    const path = await prepare(folder, file.path);
    await write(content, file, path);
    return { path, bytes: file.bytes };
  } finally {
    content.destroy();
  }
}

/** The file's place, in folders of our own. @throws InvalidInputError */
async function prepare(folder: string, within: string): Promise<string> {
  try {
    await mkdir(folder, { recursive: true });
    const root = await realpath(folder);
    let path = root;
    for (const word of dirname(within).split('/')) {
      if (word === '.') continue;
      path = join(path, word);
      await mkdir(path).catch(ignoreExisting);
      if (!(await lstat(path)).isDirectory()) throw new Error(`${path} is no folder`);
    }
    const file = join(path, basename(within));
    const status = await lstat(file).catch(ignoreMissing);
    if (status !== undefined && !status.isFile()) throw new Error(`${file} is no file`);
    return file;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidInputError(
      `to: the file cannot be written (${reason}); choose another folder`,
    );
  }
}

async function write(content: Readable, file: OutputFile, path: string): Promise<void> {
  const draft = join(dirname(path), `.${randomUUID()}.part`);
  const handle = await open(draft, DRAFT_FLAGS, 0o666);
  try {
    await pipeline(content, createHashCheck(file), handle.createWriteStream());
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'EEXIST') return undefined;
  throw error;
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
