import { lstatSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What may be kept of outputs where the disk is small. */
export interface OutputRoom {
  /** Of one command: its beginning. */
  readonly maxFileBytes: number;
  /** Of all commands: the oldest go first. */
  readonly maxFolderBytes: number;
}

/** What is found where a result says that its whole output is. */
export const GONE = '[this output was removed to make room for those of later commands]\n';

/**
 * Gives up the oldest outputs until one more file, of any size, has room beside the rest. A line in
 * the place of each says so to who looks for it.
 */
export function makeOutputRoom(folder: string, { maxFileBytes, maxFolderBytes }: OutputRoom): void {
  const files = namesIn(folder)
    .map((name) => describe(join(folder, name)))
    .sort((a, b) => b.writtenMs - a.writtenMs);
  let bytes = maxFileBytes;
  for (const file of files) {
    bytes += file.bytes;
    if (bytes > maxFolderBytes && file.bytes > GONE.length) giveUp(file);
  }
}

/** A command can have removed the folder: the next output is then not kept, which its result says. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

interface OutputFile {
  readonly path: string;
  readonly bytes: number;
  readonly writtenMs: number;
}

/** It stays as old as it was. */
function giveUp({ path, writtenMs }: OutputFile): void {
  rmSync(path, { force: true, recursive: true });
  writeFileSync(path, GONE, { flag: 'wx', mode: 0o600 });
  utimesSync(path, writtenMs / 1000, writtenMs / 1000);
}

function describe(path: string): OutputFile {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return { path, bytes: stats?.size ?? 0, writtenMs: stats?.mtimeMs ?? 0 };
}
