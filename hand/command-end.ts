import { assertNever } from '../protocol/assert-never.ts';
import type { CommandEnd, ShellEnding } from './shell.ts';

/** How a command ended. */
export type End = CommandEnd | { readonly type: 'timed_out' } | { readonly type: 'interrupted' };

/** A command that ends its shell by itself (`exit 3`) leaves its background processes alone. */
export function isOwnExit(end: End): boolean {
  return end.type === 'shell_ended' && end.ending.signal === null;
}

export interface EndInWords {
  /** First line of the result, as the SDK's bash tool has it. */
  readonly headline: string;
  /** Why the shell was restarted, as the next result tells it. */
  readonly cause: string;
}

/** Words for every end that costs the shell. */
export function describeEnd(
  end: Exclude<End, { readonly type: 'exited' }>,
  timeoutMs: number,
): EndInWords {
  switch (end.type) {
    case 'timed_out':
      return {
        headline: `bash: bash command timed out after ${timeoutMs}ms`,
        cause: 'the previous command timed out and was ended with all it had started',
      };
    case 'interrupted':
      return {
        headline: 'bash: interrupted; the command was ended with all it had started',
        cause: 'the previous command was interrupted and ended with all it had started',
      };
    case 'shell_ended':
      return {
        headline: 'bash: bash session terminated',
        cause: `the previous command ended it (${describeEnding(end.ending)})`,
      };
    default:
      return assertNever(end);
  }
}

export function describeEnding(ending: ShellEnding): string {
  if (ending.signal !== null) return `killed by ${ending.signal}`;
  return ending.code === null ? 'it could not be started' : `exit code ${ending.code}`;
}
