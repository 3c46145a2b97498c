import { FAILURE } from '../protocol/failure.ts';
import { ACTIVITY } from '../protocol/model-step.ts';
import type {
  AgentMcpToolResult,
  AgentToolResult,
  SessionError,
} from '../protocol/session-event.ts';
import { describeFailure } from './failure-words.ts';
import { type Failure, TimeoutType } from './history-event.ts';
import type { OpenActivity } from './run-state.ts';

type Reason = Failure | null | undefined;

/** What the log says of an activity of the tools that ended without a result. */
export function failedEvent(
  { name, call_id, server, is_pushed }: OpenActivity,
  failure: Reason,
): AgentToolResult | AgentMcpToolResult | SessionError | undefined {
  if (name === ACTIVITY.listMcpTools && server !== undefined) {
    return failure?.canceledFailureInfo ? undefined : unaskedServer(server, failure);
  }
  if (call_id === undefined) return undefined;
  const ran = mayHaveRun(failure) || !(is_pushed || name === ACTIVITY.callMcpTool);
  const told = {
    content: [{ type: 'text' as const, text: ran ? unknownOutcome(failure) : notRun(failure) }],
    is_error: true,
  };
  if (name === ACTIVITY.callMcpTool) {
    return { type: 'agent.mcp_tool_result', mcp_tool_use_id: call_id, ...told };
  }
  if (name !== ACTIVITY.execute && !is_pushed) return undefined;
  return { type: 'agent.tool_result', tool_use_id: call_id, ...told };
}

/** Without a hand's journal only these two say that nothing can have happened. */
function mayHaveRun(failure: Reason): boolean {
  if (failure?.timeoutFailureInfo?.timeoutType === TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START) {
    return false;
  }
  return failure?.applicationFailureInfo?.type !== FAILURE.mcpNotSent;
}

function unknownOutcome(failure: Reason): string {
  return `The call failed, and whether it took effect is not known: ${describeFailure(failure)}.`;
}

function notRun(failure: Reason): string {
  return `Nothing ran: ${describeFailure(failure)}.`;
}

function unaskedServer(server: string, failure: Reason): SessionError {
  return {
    type: 'session.error',
    error: {
      type: 'mcp_connection_failed_error',
      mcp_server_name: server,
      message: `MCP server "${server}" was not asked for its tools: ${describeFailure(failure)}.`,
      retry_status: { type: 'exhausted' },
    },
  };
}
