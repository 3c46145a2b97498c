import { SANDBOX } from './layout.ts';

/** Why nothing can be put at a path that a session chose, and where it can. */
export function wordsOfPath(path: string, error: unknown): string {
  const why = error instanceof Error ? error.message : String(error);
  const { workspace, session, home, temporary } = SANDBOX;
  return `${path} cannot be written (${why}); choose one in ${[workspace, session, home, temporary].join(', ')}`;
}
