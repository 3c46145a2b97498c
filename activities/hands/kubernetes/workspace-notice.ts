import type { KeptWorkspace, SnapshotRecord } from './kept-workspaces.ts';

/**
 * What a hand is in which earlier ones have been: told to the model with the first result, since a
 * sandbox that was released or lost while no call ran could tell nobody.
 *
 * @param generation Of the new hand.
 */
export function workspaceNotice(
  generation: number,
  { snapshot, missed }: KeptWorkspace,
): string | null {
  if (generation === 1) return null;
  if (snapshot === undefined)
    return `[${EMPTY}${missed === undefined ? '' : because(missed.because)}]`;
  const isOfLast = snapshot.generation === generation - 1 && missed === undefined;
  const words = isOfLast
    ? `its files were restored from a snapshot of ${snapshot.at}${partsOf(snapshot)}, and its processes are gone`
    : `its files and processes are gone${missed === undefined ? '' : because(missed.because)}. ` +
      `What is here was restored from an older snapshot, of ${snapshot.at}${partsOf(snapshot)}: ` +
      'whatever was changed since then is lost';
  return `[this is a new sandbox: the one before it has ended; ${words}]`;
}

const EMPTY =
  'this is a new, empty sandbox: the one before it has ended, and its files and processes are gone';

function because(reason: string): string {
  return `; its workspace was not kept, because ${reason}`;
}

function partsOf({ excludes, skipped }: SnapshotRecord): string {
  const parts = [
    ...(excludes.length === 0 ? [] : [`without what matches ${excludes.join(', ')}`]),
    ...(skipped === 0 ? [] : [`without ${skipped} files that could not be read`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}
