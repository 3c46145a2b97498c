import { createHash } from 'node:crypto';
import { constants, createReadStream, type Dirent } from 'node:fs';
import { lstat, open, opendir } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

/** A file that a session gave. */
export interface OutputFile {
  /** Within the folder of outputs. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** RFC 3339. */
  readonly modified_at: string;
}

export interface OutputListing {
  readonly files: readonly OutputFile[];
  /** There are more, which are not listed. */
  readonly is_cut: boolean;
}

const MAX_FILES = 2_000;
const MAX_PATH_BYTES = 1_024;
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Every regular file in a folder, hashed. Links are not followed. */
export async function listOutputs(folder: string): Promise<OutputListing> {
  const files: OutputFile[] = [];
  for await (const path of filesIn(folder, '')) {
    if (files.length === MAX_FILES) return { files, is_cut: true };
    const file = await describe(folder, path);
    if (file !== undefined) files.push(file);
  }
  return { files, is_cut: false };
}

/** The content of one, which may have changed since it was listed; none of one that is gone. */
export async function* readOutput(folder: string, path: string): AsyncGenerator<Buffer> {
  try {
    await using file = await open(`${folder}/${path}`, READ_FLAGS);
    yield* file.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>;
  } catch {
    // What came is shorter than what was listed.
  }
}

async function describe(folder: string, path: string): Promise<OutputFile | undefined> {
  try {
    const status = await lstat(`${folder}/${path}`);
    if (!status.isFile()) return undefined;
    const hash = createHash('sha256');
    await pipeline(createReadStream(`${folder}/${path}`, { flags: READ_FLAGS as never }), hash);
    const modified_at = status.mtime.toISOString();
    return { path, bytes: status.size, sha256: hash.digest('hex'), modified_at };
  } catch {
    // Gone meanwhile, or not to be read.
    return undefined;
  }
}

async function* filesIn(folder: string, within: string): AsyncGenerator<string> {
  let entries: AsyncIterable<Dirent>;
  try {
    entries = await opendir(within === '' ? folder : `${folder}/${within}`);
  } catch {
    return;
  }
  for await (const entry of entries) {
    const path = within === '' ? entry.name : `${within}/${entry.name}`;
    if (Buffer.byteLength(path) > MAX_PATH_BYTES) continue;
    if (entry.isDirectory()) yield* filesIn(folder, path);
    else if (entry.isFile()) yield path;
  }
}
