import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Place } from './search-places.ts';

const SQLITE = 'SQLite format 3\0';
const MAX_GIT_BYTES = 1024 * 1024 * 1024;

/**
 * All that is in a folder: names, links, bytes of files; values of databases, whose pages cut them in
 * pieces; objects of git repositories, which are told only as differences in packs.
 */
export function folderPlaces(folder: string, label = folder): Place[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return ['.', ...paths].flatMap((path) => entryPlaces(join(folder, path), join(label, path)));
}

function entryPlaces(path: string, name: string): Place[] {
  const places: Place[] = [{ name: `name ${name}`, pieces: () => [Buffer.from(basename(path))] }];
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isSymbolicLink()) {
    places.push({ name: `link ${name}`, pieces: () => [Buffer.from(readlinkSync(path))] });
  }
  if (!stat?.isFile()) return places;
  places.push({ name, pieces: () => unlessGone(() => [readFileSync(path)]) });
  if (isDatabase(path)) places.push({ name: `values of ${name}`, pieces: () => valuesOf(path) });
  if (isGitHead(path)) {
    const objects = `objects of ${dirname(name)}`;
    places.push({ name: objects, pieces: () => [objectsOf(dirname(path))] });
  }
  return places;
}

/** Folders are read while processes still work in them. */
function unlessGone(read: () => Buffer[]): Buffer[] {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function isDatabase(path: string): boolean {
  if (!/\.(db|sqlite3?)$/.test(path)) return false;
  return readFileSync(path).subarray(0, SQLITE.length).toString('latin1') === SQLITE;
}

function* valuesOf(path: string): Generator<Buffer> {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const tables = database.prepare("select name from sqlite_master where type = 'table'").all();
    for (const { name } of tables) {
      const rows = database.prepare(`select * from "${name}"`);
      rows.setReadBigInts(true);
      for (const row of rows.iterate()) {
        for (const value of Object.values(row)) {
          if (typeof value === 'string') yield Buffer.from(value);
          if (value instanceof Uint8Array) yield Buffer.from(value);
        }
      }
    }
  } finally {
    database.close();
  }
}

function isGitHead(path: string): boolean {
  if (basename(path) !== 'HEAD') return false;
  return (
    lstatSync(join(dirname(path), 'objects'), { throwIfNoEntry: false })?.isDirectory() ?? false
  );
}

/** Reachable or not, loose or packed. The repository's own settings are not heeded. */
function objectsOf(repository: string): Buffer {
  return execFileSync(
    'git',
    [
      '-c',
      'safe.directory=*',
      '--git-dir',
      repository,
      'cat-file',
      '--batch-all-objects',
      '--batch',
    ],
    { maxBuffer: MAX_GIT_BYTES, env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent' } },
  );
}
