import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Removes a folder that a sandbox wrote; follows no link in it. */
export async function removeFolder(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    // A folder without its write permission keeps its files.
    await promisify(execFile)('chmod', ['-R', 'u+rwX', path]);
    await rm(path, { recursive: true, force: true });
  }
}
