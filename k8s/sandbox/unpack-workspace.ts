import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { Parser, type ReadEntry } from 'tar';
import type { TransferPlace } from './transfer-places.ts';

/** The archive is not one of ours, or not any more. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const MODE_BITS = 0o7777;

/**
 * Makes the places what the archive holds: what was in them is removed first. Nothing is written
 * outside of them: names with `..` are refused, and links, which are names only, are made last, when
 * nothing can be written through them any more.
 *
 * @throws {ArchiveError}
 */
export async function unpackWorkspace(
  content: AsyncIterable<Uint8Array>,
  places: readonly TransferPlace[],
): Promise<void> {
  for (const { folder } of places) empty(folder);
  const unpacking = new Unpacking(places);
  const parser = new Parser({ strict: true, zstd: false, brotli: false });
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const fail = (error: unknown): void => failed.reject(error);
  parser.on('error', (error) => fail(new ArchiveError(`it is damaged: ${wordsOf(error)}`)));
  parser.on('entry', (entry: ReadEntry) => unpacking.take(entry, fail));
  const ended = new Promise<void>((resolve) => parser.on('end', resolve));
  const feed = async (): Promise<void> => {
    for await (const chunk of decompressed(content)) {
      if (!parser.write(chunk)) await new Promise<void>((resolve) => parser.once('drain', resolve));
    }
    parser.end();
    await ended;
  };
  await Promise.race([feed(), failed.promise]);
  unpacking.finish();
}

async function* decompressed(content: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let sourceFailure: unknown;
  const source = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* content;
    } catch (error) {
      sourceFailure = error;
      throw error;
    }
  };
  const decompress = createZstdDecompress();
  const piping = pipeline(source(), decompress);
  piping.catch(() => {});
  try {
    yield* decompress as AsyncIterable<Buffer>;
    await piping;
  } catch (error) {
    throw sourceFailure ?? new ArchiveError(`it is damaged: ${wordsOf(error)}`);
  }
}

class Unpacking {
  readonly #places: readonly TransferPlace[];
  /** Folders that are there, and not by a link. */
  readonly #folders = new Set<string>();
  readonly #modes: { path: string; mode: number; mtime: Date }[] = [];
  readonly #links: { path: string; target: string; mtime: Date }[] = [];

  constructor(places: readonly TransferPlace[]) {
    this.#places = places;
    for (const { folder } of places) this.#folders.add(folder);
  }

  take(entry: ReadEntry, fail: (error: unknown) => void): void {
    try {
      const path = this.#pathOf(entry.path);
      if (entry.type !== 'Directory' && this.#isPlace(path)) throw leadsOut(entry.path);
      const mtime = entry.mtime ?? new Date();
      switch (entry.type) {
        case 'Directory':
          this.#makeFolder(path);
          this.#modes.push({ path, mode: (entry.mode ?? 0o700) & MODE_BITS, mtime });
          entry.resume();
          return;
        case 'SymbolicLink':
          this.#links.push({ path, target: entry.linkpath ?? '', mtime });
          entry.resume();
          return;
        case 'Link':
          this.#makeFolder(dirname(path));
          linkSync(this.#fileAt(entry.linkpath ?? ''), path);
          entry.resume();
          return;
        case 'File':
        case 'OldFile':
          this.#makeFolder(dirname(path));
          writeEntry(entry, path, fail);
          return;
        default:
          throw new ArchiveError(`${entry.path} is a ${entry.type}`);
      }
    } catch (error) {
      entry.resume();
      fail(toArchiveError(entry.path, error));
    }
  }

  /** The deepest first: a folder's time is that of its last change. */
  finish(): void {
    for (const { path, target, mtime } of this.#links) {
      try {
        this.#makeFolder(dirname(path));
        symlinkSync(target, path);
        lutimesSync(path, mtime, mtime);
      } catch (error) {
        throw toArchiveError(path, error);
      }
    }
    for (const { path, mode, mtime } of this.#modes.reverse()) {
      // Its owner is who made the volume.
      if (this.#isPlace(path)) continue;
      chmodSync(path, mode);
      utimesSync(path, mtime, mtime);
    }
  }

  /** Where an entry goes. @throws {ArchiveError} when it is no place for it. */
  #pathOf(name: string): string {
    const words = name.replace(/\/+$/, '').split('/');
    const isPlain = words.every((word) => word !== '' && word !== '.' && word !== '..');
    const place = this.#places.find(({ name: first }) => first === words[0]);
    if (place === undefined || !isPlain || name.includes('\0')) {
      throw leadsOut(name);
    }
    return [place.folder, ...words.slice(1)].join('/');
  }

  #isPlace(path: string): boolean {
    return this.#places.some(({ folder }) => folder === path);
  }

  #makeFolder(path: string): void {
    if (this.#folders.has(path)) return;
    this.#makeFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
    this.#folders.add(path);
  }

  #fileAt(name: string): string {
    const path = this.#pathOf(name);
    if (!this.#folders.has(dirname(path)) || !lstatSync(path).isFile()) {
      throw new ArchiveError(`"${name.slice(0, 200)}" is no file in it`);
    }
    return path;
  }
}

function leadsOut(name: string): ArchiveError {
  return new ArchiveError(`"${name.slice(0, 200)}" leads out of it`);
}

function writeEntry(entry: ReadEntry, path: string, fail: (error: unknown) => void): void {
  const file = openSync(path, CREATE, 0o600);
  const close = (error?: unknown): void => {
    closeSync(file);
    if (error !== undefined) fail(error);
  };
  let isOpen = true;
  entry.on('data', (chunk: Buffer) => {
    if (!isOpen) return;
    try {
      for (let written = 0; written < chunk.length; ) {
        written += writeSync(file, chunk, written);
      }
    } catch (error) {
      isOpen = false;
      close(error);
    }
  });
  entry.on('end', () => {
    if (!isOpen) return;
    try {
      fchmodSync(file, (entry.mode ?? 0o600) & MODE_BITS);
      const mtime = entry.mtime ?? new Date();
      futimesSync(file, mtime, mtime);
      close();
    } catch (error) {
      close(error);
    }
  });
}

function empty(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) {
    rmSync(`${folder}/${name}`, { recursive: true, force: true });
  }
}

/** Writes a file whole, and on disk. */
export function writeDurably(path: string, text: string): void {
  const file = openSync(path, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** What an archive of ours cannot lead to; a full disk is no fault of it. */
function toArchiveError(path: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const isOurs = ['EEXIST', 'ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EPERM'].includes(String(code));
  return isOurs
    ? new ArchiveError(`${path.slice(0, 200)} cannot be in it (${String(code)})`)
    : error;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
