import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { SANDBOX } from './layout.ts';

/** In a container, where the daemon must keep to itself the way to its workers. */
const IS_CONFINING = existsSync(SANDBOX.confine);

/** The words that run a program of commands here. */
export function confined(words: readonly [string, ...string[]]): [string, ...string[]] {
  return IS_CONFINING ? [SANDBOX.confine, ...words] : [...words];
}

/** @throws Error when commands could do what only the daemon may. */
export function verifyConfinement(): void {
  const { status, stderr, error } = spawnSync(SANDBOX.confine, ['--check'], { encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`Commands cannot be confined here: ${error?.message ?? stderr.trim()}`);
}
