import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { dirname, join } from 'node:path';
import { HAND_PROGRAM } from './readable-paths.ts';

/**
 * Compiled code of the supervisor and the daemon: half the time to a ready hand. A sandbox reads it
 * and cannot write it, so a supervisor fills it for the daemons that come after.
 */
export function programCache(stateFolder: string): string {
  return join(stateFolder, 'cache');
}

/** Loads all that a daemon loads, once for each state of its program. */
export async function fillProgramCache(stateFolder: string): Promise<void> {
  const folder = dirname(HAND_PROGRAM);
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  const changedAt = Math.max(...files.map((name) => statSync(join(folder, name)).mtimeMs));
  const mark = join(programCache(stateFolder), `hand-${process.version}-${Math.round(changedAt)}`);
  if (existsSync(mark)) return;
  // As a module the program only defines itself.
  await import(HAND_PROGRAM);
  await import('@anthropic-ai/sdk/tools/agent-toolset/node');
  flushCompileCache();
  writeFileSync(mark, '');
}
