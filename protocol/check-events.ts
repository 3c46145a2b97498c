import { describeIssues } from './describe-issues.ts';
import { type UserEvent, UserEvents } from './user-event.ts';

export type CheckedEvents =
  | { readonly ok: true; readonly events: UserEvents }
  | { readonly ok: false; readonly message: string };

/**
 * Bytes of JSON of all events sent at once. Temporal refuses a payload of 2 MB, and one of its
 * messages carries the payload with more around it.
 */
export const MAX_EVENTS_BYTES = 1_500_000;

const REMEDY =
  'Send user.message, user.interrupt, user.tool_confirmation or user.custom_tool_result, or a plain string.';

/**
 * The one check of what a sender sends. Pure: the update validator, the signal handler and the
 * projection all use it, so that they never disagree about what entered the log.
 */
export function checkEvents(input: unknown): CheckedEvents {
  const parsed = UserEvents.safeParse(input);
  if (parsed.success) return checkSize(parsed.data);
  return { ok: false, message: `${describeIssues(parsed.error, 'events')}. ${REMEDY}` };
}

function checkSize(events: UserEvents): CheckedEvents {
  const sizes = events.map(bytesOf);
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
  if (total <= MAX_EVENTS_BYTES) return { ok: true, events };
  const largest = sizes.indexOf(Math.max(...sizes));
  return {
    ok: false,
    message:
      `events[${largest}]: ${sizes[largest]} bytes of JSON; one send may carry ${MAX_EVENTS_BYTES} in all. ` +
      'Send a link, a file in the sandbox, or several smaller events.',
  };
}

function bytesOf(event: UserEvent): number {
  return new TextEncoder().encode(JSON.stringify(event)).length;
}
