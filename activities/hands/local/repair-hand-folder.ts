import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import type { HandFolder } from './hand-folder.ts';

/**
 * Makes the folders that a sandbox writes, and makes them usable again: a command may have put a link
 * or a file in the place of one, or locked it. Nothing of the hand may run meanwhile.
 */
export function repairHandFolder(folder: HandFolder): void {
  // The first holds the others.
  const { sandbox, outputs, workspace, home, temporary, output, journal } = folder;
  for (const path of [sandbox, outputs, workspace, home, temporary, output, journal]) repair(path);
}

function repair(path: string): void {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    // What is no folder goes, and what a link leads to stays.
    rmSync(path, { force: true });
    mkdirSync(path, { mode: 0o700 });
  }
  chmodSync(path, 0o700);
}
