import type { SessionEventType } from '../../protocol/session-event.ts';

// The compiler asks for each of them.
const ALL: Readonly<Record<SessionEventType, true>> = {
  'user.message': true,
  'user.interrupt': true,
  'user.tool_confirmation': true,
  'user.custom_tool_result': true,
  'agent.message': true,
  'agent.thinking': true,
  'agent.tool_use': true,
  'agent.custom_tool_use': true,
  'agent.mcp_tool_use': true,
  'agent.tool_result': true,
  'agent.mcp_tool_result': true,
  'agent.thread_context_compacted': true,
  'session.error': true,
  'session.updated': true,
  'session.status_running': true,
  'session.status_idle': true,
  'session.status_terminated': true,
  'span.model_request_start': true,
  'span.model_request_end': true,
};

/** What a person may name; the log has no others. */
export const EVENT_TYPES: readonly string[] = Object.keys(ALL);

export function isEventType(type: string): type is SessionEventType {
  return Object.hasOwn(ALL, type);
}
