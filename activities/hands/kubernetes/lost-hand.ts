import type { ExecuteOutcome } from '../provider.ts';

/**
 * The result of a call whose sandbox is gone, and the journal with it: nobody can tell any more how
 * far the call came. The model reads it.
 */
export function lostOutcome(because: string): ExecuteOutcome {
  const text =
    `Outcome unknown: the sandbox was lost (${because}). This call may have run wholly, partly or ` +
    'not at all, and it was not run again. The workspace and all processes of that sandbox are ' +
    'gone. The next call gets a new sandbox, which says what is in it.';
  return { content: [{ type: 'text', text }], is_error: true, lost: true };
}
