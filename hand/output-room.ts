import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What may be kept of outputs where the disk is small. */
export interface OutputRoom {
  /** Of one command: its beginning. */
  readonly maxFileBytes: number;
  /** Of all commands: the oldest go first. */
  readonly maxFolderBytes: number;
}

/** Removes the oldest outputs until one more file, of any size, has room beside the rest. */
export function makeOutputRoom(folder: string, { maxFileBytes, maxFolderBytes }: OutputRoom): void {
  const files = readdirSync(folder)
    .map((name) => describe(join(folder, name)))
    .sort((a, b) => b.writtenMs - a.writtenMs);
  let bytes = maxFileBytes;
  for (const file of files) {
    bytes += file.bytes;
    if (bytes > maxFolderBytes) rmSync(file.path, { force: true });
  }
}

function describe(path: string): { path: string; bytes: number; writtenMs: number } {
  const stats = statSync(path, { throwIfNoEntry: false });
  return { path, bytes: stats?.size ?? 0, writtenMs: stats?.mtimeMs ?? 0 };
}
