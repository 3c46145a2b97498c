import { assertNever } from '../protocol/assert-never.ts';
import { jsonBytes, MAX_EVENTS_BYTES } from '../protocol/oversized.ts';
import type { OpenCall } from '../protocol/session.ts';
import type {
  AgentMcpToolResult,
  AgentToolResult,
  RecordedEvent,
} from '../protocol/session-event.ts';
import type { UserEvent } from '../protocol/user-event.ts';
import { record } from './activities.ts';
import type { SessionState } from './session-state.ts';

/**
 * Acts on everything accepted so far, in order, and writes into the log what follows from it
 * without running anything. Returns once the inbox is empty.
 */
export async function emptyInbox(state: SessionState): Promise<void> {
  while (state.inbox.length > 0) {
    const events = state.inbox;
    state.inbox = [];
    state.noteDetails(events);
    await recordEvents(
      state,
      events.flatMap((event) => apply(state, event)),
    );
  }
}

/** Writes events that no activity produced into the log. */
export async function recordEvents(
  state: SessionState,
  events: readonly RecordedEvent[],
): Promise<void> {
  if (events.length === 0) return;
  state.noteDetails(events);
  for (const batch of toBatches(events)) await record({ events: batch });
}

/**
 * What several senders sent may be too much for one payload, for which the server would end the
 * session. One event alone is not.
 */
function toBatches(events: readonly RecordedEvent[]): RecordedEvent[][] {
  const batches: RecordedEvent[][] = [];
  let room = 0;
  for (const event of events) {
    const bytes = jsonBytes(event);
    const last = batches.at(-1);
    if (last !== undefined && bytes <= room) {
      last.push(event);
      room -= bytes;
    } else {
      batches.push([event]);
      room = MAX_EVENTS_BYTES - bytes;
    }
  }
  return batches;
}

export function errorResult(call: OpenCall, text: string): AgentToolResult | AgentMcpToolResult {
  const told = { content: [{ type: 'text' as const, text }], is_error: true };
  return call.mcp_server_name === undefined
    ? { type: 'agent.tool_result', tool_use_id: call.id, ...told }
    : { type: 'agent.mcp_tool_result', mcp_tool_use_id: call.id, ...told };
}

function apply(state: SessionState, event: UserEvent): RecordedEvent[] {
  switch (event.type) {
    case 'user.message':
      state.owesResponse = true;
      return [];
    case 'user.interrupt':
      return interrupt(state);
    case 'user.tool_confirmation':
      return confirm(state, event);
    case 'user.custom_tool_result':
      return takeResult(state, event);
    default:
      return assertNever(event);
  }
}

/** Ends what was going on; what comes after it in the inbox starts anew. */
function interrupt(state: SessionState): RecordedEvent[] {
  const closed = [...state.calls.values()].map((call) =>
    errorResult(call, INTERRUPTED[call.waits_for]),
  );
  state.calls.clear();
  state.owesResponse = false;
  return closed;
}

const INTERRUPTED: Readonly<Record<OpenCall['waits_for'], string>> = {
  ready: 'Interrupted by the user before this call ran.',
  confirmation: 'Interrupted by the user before this call was allowed; it did not run.',
  result: 'Interrupted by the user before this call had a result; whether it ran is not known.',
};

type Confirmation = Extract<UserEvent, { type: 'user.tool_confirmation' }>;

function confirm(state: SessionState, event: Confirmation): RecordedEvent[] {
  const call = state.calls.get(event.tool_use_id);
  if (call?.waits_for !== 'confirmation') {
    return [invalidEvent(`no call ${event.tool_use_id} waits for a confirmation`)];
  }
  if (event.result === 'allow') {
    state.calls.set(call.id, { ...call, waits_for: 'ready' });
    return [];
  }
  state.calls.delete(call.id);
  state.owesResponse = true;
  const reason = event.deny_message ?? '';
  return [errorResult(call, `Denied by the user${reason === '' ? '.' : `: ${reason}`}`)];
}

type CustomResult = Extract<UserEvent, { type: 'user.custom_tool_result' }>;

function takeResult(state: SessionState, event: CustomResult): RecordedEvent[] {
  const call = state.calls.get(event.custom_tool_use_id);
  if (call?.waits_for !== 'result') {
    return [invalidEvent(`no custom tool call ${event.custom_tool_use_id} waits for a result`)];
  }
  state.calls.delete(call.id);
  state.owesResponse = true;
  return [];
}

/** Only a signal gets here, or an event whose call was closed since it was accepted. */
function invalidEvent(message: string): RecordedEvent {
  return {
    type: 'session.error',
    error: {
      type: 'invalid_event_error',
      message: `Ignored: ${message}. getSession lists the pending_actions.`,
      retry_status: { type: 'terminal' },
    },
  };
}
