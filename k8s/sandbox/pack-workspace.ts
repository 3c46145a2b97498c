import {
  accessSync,
  appendFileSync,
  constants,
  createReadStream,
  mkdirSync,
  rmSync,
  type Stats,
} from 'node:fs';
import { matchesGlob } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, constants as zlib } from 'node:zlib';
import { create, type WriteEntry } from 'tar';
import { journalPath } from '../../hand/journal-file.ts';
import type { TransferPlace, TransferPlaces } from './transfer-places.ts';

const READ_BYTES = 1024 * 1024;

export interface Packed {
  /** The archive, compressed. To be read to its end. */
  readonly content: AsyncIterable<Uint8Array>;
  /** Of what has been packed so far. */
  summary(): PackSummary;
}

export interface PackSummary {
  readonly files: number;
  /** Before compression. */
  readonly unpacked_bytes: number;
  /** What could not be read, or is no file. */
  readonly skipped: number;
}

/**
 * The workspace, the outputs and the journals as a tar archive. Modes, times and links are kept,
 * links as they are; owners are not.
 *
 * @param excludes Patterns of paths within the workspace. One without a slash is that of a name,
 *   wherever it is; what matches a folder leaves out all that is in it.
 */
export async function packWorkspace(
  places: TransferPlaces,
  excludes: readonly string[],
): Promise<Packed> {
  const packed = [places.workspace, places.outputs, await packJournals(places)];
  const isExcluded = matcherOf(excludes);
  let files = 0;
  let unpackedBytes = 0;
  let skipped = 0;
  const filter = (path: string, found: unknown): boolean => {
    const status = found as Stats;
    const inWorkspace = within(places.workspace, path);
    if (inWorkspace !== undefined && inWorkspace !== '' && isExcluded(inWorkspace)) return false;
    if (!isPackable(`/${path}`, status)) {
      skipped += 1;
      return false;
    }
    if (!status.isDirectory()) files += 1;
    if (status.isFile()) unpackedBytes += status.size;
    return true;
  };
  const archive = create(
    {
      cwd: '/',
      filter,
      maxReadSize: READ_BYTES,
      onWriteEntry: (entry) => rename(entry, packed),
      onwarn: () => {},
    },
    packed.map(({ folder }) => folder.slice(1)),
  );
  const compressed = createZstdCompress({ params: { [zlib.ZSTD_c_checksumFlag]: 1 } });
  // What it fails with comes to who reads.
  pipeline(archive, compressed).catch(() => {});
  return {
    content: compressed,
    summary: () => ({ files, unpacked_bytes: unpackedBytes, skipped }),
  };
}

/** This sandbox's journal after those before it: what a later sandbox remembers. */
async function packJournals({ past, journal, state }: TransferPlaces): Promise<TransferPlace> {
  const folder = `${state}/packed`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  const draft = journalPath(folder);
  for (const source of [past.folder, journal]) {
    try {
      for await (const chunk of createReadStream(journalPath(source))) {
        appendFileSync(draft, chunk as Buffer, { mode: 0o600 });
      }
      // A line that was torn must not join the next one.
      appendFileSync(draft, '\n');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return { name: past.name, folder };
}

function matcherOf(excludes: readonly string[]): (path: string) => boolean {
  const patterns = excludes.map((exclude) => {
    const pattern = exclude.replace(/^\.?\//, '').replace(/\/+$/, '');
    const isName = !exclude.replace(/\/+$/, '').includes('/');
    return withoutDots(isName ? `**/${pattern}` : pattern);
  });
  return (path) => patterns.some((pattern) => matchesGlob(withoutDots(path), pattern));
}

/** A name that starts with a dot is one like any other; globs would pass over it. */
function withoutDots(path: string): string {
  return path.replace(/(^|\/)\.(?=[^/])/g, '$1\u0001');
}

/** One that cannot be read would end the whole archive. */
function isPackable(path: string, status: Stats): boolean {
  if (status.isSymbolicLink()) return true;
  if (!status.isFile() && !status.isDirectory()) return false;
  try {
    accessSync(path, status.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function rename(entry: WriteEntry, places: readonly TransferPlace[]): void {
  entry.path = nameOf(entry.path, places);
  if (entry.type === 'Link') entry.linkpath = nameOf(entry.linkpath ?? '', places);
}

function nameOf(path: string, places: readonly TransferPlace[]): string {
  for (const place of places) {
    const inside = within(place, path);
    if (inside !== undefined) return inside === '' ? place.name : `${place.name}/${inside}`;
  }
  return path;
}

/** The rest of a path, given from the root, in a place; undefined when it is elsewhere. */
function within({ folder }: TransferPlace, path: string): string | undefined {
  if (`/${path}` === folder) return '';
  return `/${path}`.startsWith(`${folder}/`) ? path.slice(folder.length) : undefined;
}
