import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { HandFolder } from './hand-folder.ts';
import { quote } from './quote.ts';
import type { Isolation } from './supervisor-settings.ts';

/** Where every kind of hand has what a session is given, and gives. */
export const SESSION = '/mnt/session';
export const UPLOADS = `${SESSION}/uploads`;
export const OUTPUTS = `${SESSION}/outputs`;

/** Of that, and of nothing else, a sandbox has a view of its own. */
const ABOVE = '/mnt';

export interface SessionPaths {
  /** Folders besides the workspace that tools may reach. */
  readonly roots: readonly string[];
  /** For the model: where it finds them, if not where every kind of hand has them. */
  readonly notice?: string;
}

/** Where a hand has them: a sandbox in their place, one without isolation where they really are. */
export function sessionPaths(isolation: Isolation, { session, outputs }: HandFolder): SessionPaths {
  if (isolation === 'required' && existsSync(ABOVE)) return { roots: [SESSION] };
  const uploads = join(session, 'uploads');
  return {
    roots: [session, outputs],
    notice: `[In this sandbox ${UPLOADS} is ${uploads}, and ${OUTPUTS} is ${outputs}]`,
  };
}

/**
 * How `bwrap` is to mount them, for a shell, to come after the root: what else is in `/mnt` stays.
 */
export function sessionMounts({ session, outputs }: HandFolder): string {
  if (!existsSync(ABOVE)) return '';
  // What is mounted on must be there.
  mkdirSync(join(session, 'outputs'), { recursive: true, mode: 0o700 });
  const others = readdirSync(ABOVE)
    .map((name) => join(ABOVE, name))
    .filter((path) => path !== SESSION)
    .map((path) => ['--ro-bind-try', path, path]);
  return [
    ['--tmpfs', ABOVE],
    ...others,
    ['--ro-bind', session, SESSION],
    ['--bind', outputs, OUTPUTS],
    ['--remount-ro', ABOVE],
  ]
    .map(([option, ...paths]) => [option, ...paths.map(quote)].join(' '))
    .join(' ');
}
