import { describeIssues } from './describe-issues.ts';
import { describeOversized, findOversized, type Oversized } from './oversized.ts';
import { describeUndecodable, isUndecodable } from './undecodable.ts';
import { UserEvents } from './user-event.ts';

export type CheckedEvents =
  | { readonly ok: true; readonly events: UserEvents }
  | { readonly ok: false; readonly message: string; readonly oversized?: Oversized };

const REMEDY =
  'Send user.message, user.interrupt, user.tool_confirmation or user.custom_tool_result, or a plain string.';

/**
 * The one check of what a sender sends. Pure: the update validator, the signal handler and the
 * projection all use it, so that they never disagree about what entered the log.
 */
export function checkEvents(input: unknown): CheckedEvents {
  if (isUndecodable(input)) return { ok: false, message: describeUndecodable(input, 'events') };
  const parsed = UserEvents.safeParse(input);
  if (!parsed.success) {
    return { ok: false, message: `${describeIssues(parsed.error, 'events')}. ${REMEDY}` };
  }
  const oversized = findOversized(parsed.data);
  if (oversized === undefined) return { ok: true, events: parsed.data };
  return { ok: false, message: describeOversized(oversized), oversized };
}
