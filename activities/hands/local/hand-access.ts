import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { HandFolder } from './hand-folder.ts';

// What a hand with credentials to use is told of the gateway. It goes to the supervisor by a file of
// its own folder: an argument could be read by anybody on this machine.

export const HandAccess = z.object({
  /** Of commands: placeholders. */
  variables: z.record(z.string(), z.string()),
  /** Null: the hand has no network. */
  gateway: z
    .object({
      /** Where it listens on this machine. */
      socket: z.string(),
      /** The hand's key, by which the supervisor presents it. */
      hand: z.string(),
      token: z.string(),
      /** Whether it serves repositories to this hand. */
      has_repositories: z.boolean(),
      /** PEM of its authority. */
      authority: z.string(),
    })
    .nullable(),
});
export type HandAccess = Readonly<z.infer<typeof HandAccess>>;

export function writeHandAccess(folder: HandFolder, instance: string, access: HandAccess): void {
  writeFileSync(accessPath(folder, instance), JSON.stringify(access), { mode: 0o600 });
}

/** Undefined when the hand has nothing to use: then its way out is the runtime's. */
export function readHandAccess(folder: HandFolder, instance: string): HandAccess | undefined {
  try {
    return HandAccess.parse(JSON.parse(readFileSync(accessPath(folder, instance), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export function removeHandAccess(folder: HandFolder, instance: string): void {
  rmSync(accessPath(folder, instance), { force: true });
}

function accessPath({ root }: HandFolder, instance: string): string {
  return join(root, `access-${instance}.json`);
}
