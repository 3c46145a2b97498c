import { assertNever } from '../protocol/assert-never.ts';
import type { UserEvent } from '../protocol/user-event.ts';
import type { SessionState } from './session-state.ts';

/**
 * Whether events that are well formed also apply to the session as it stands. Returns what is wrong
 * in words, or undefined. Synchronous: an update validator may not wait.
 */
export function checkApplies(
  state: SessionState,
  events: readonly UserEvent[],
): string | undefined {
  const answered = new Set(state.inbox.map(callOf));
  // It is about to end every call that waits now.
  let isInterrupted = state.hasInterrupt();
  for (const [index, event] of events.entries()) {
    isInterrupted ||= event.type === 'user.interrupt';
    const call = callOf(event);
    if (call === undefined) continue;
    if (isInterrupted || !isWaiting(state, event) || answered.has(call)) {
      return `events[${index}].${fieldOf(event)}: no call ${call} is waiting for it. ${pending(state)}`;
    }
    answered.add(call);
  }
  return undefined;
}

function callOf(event: UserEvent): string | undefined {
  switch (event.type) {
    case 'user.tool_confirmation':
      return event.tool_use_id;
    case 'user.custom_tool_result':
      return event.custom_tool_use_id;
    case 'user.message':
    case 'user.interrupt':
      return undefined;
    default:
      return assertNever(event);
  }
}

function fieldOf(event: UserEvent): string {
  return event.type === 'user.tool_confirmation' ? 'tool_use_id' : 'custom_tool_use_id';
}

function isWaiting(state: SessionState, event: UserEvent): boolean {
  const call = state.calls.get(callOf(event) ?? '');
  const expected = event.type === 'user.tool_confirmation' ? 'confirmation' : 'result';
  return call?.waits_for === expected;
}

function pending(state: SessionState): string {
  const waiting = state.waitingCalls().map((call) => `${call.id} (${call.waits_for})`);
  return waiting.length === 0
    ? 'No call waits for anybody.'
    : `Waiting calls: ${waiting.join(', ')}.`;
}
