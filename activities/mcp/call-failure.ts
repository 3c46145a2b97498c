import { ApplicationFailure } from '@temporalio/common';
import { FAILURE } from '../../protocol/failure.ts';
import type { CallMcpToolResult } from '../../protocol/mcp.ts';

/** The one failure after which the call is made again. */
export function notSent(words: string): ApplicationFailure {
  return ApplicationFailure.create({ type: FAILURE.mcpNotSent, message: words });
}

/** By a user, or by a worker that stops: a call that is out may take effect all the same. */
export function callInterrupted(
  signal: AbortSignal,
  callId: string,
  isSent: boolean,
): CallMcpToolResult {
  const isStopping = signal.reason instanceof Error && signal.reason.message === 'WORKER_SHUTDOWN';
  if (isStopping && !isSent) throw notSent('The worker was stopped before the call was sent');
  const outcome = isSent
    ? 'the server was told to stop, and whether the call took effect is not known'
    : 'nothing was sent';
  const why = isStopping ? 'The worker was stopped' : 'Interrupted by the user';
  return errorResult(callId, `${why}: ${outcome}.`);
}

/** The attempt before vanished, and may have sent the call. */
export function outcomeUnknown(callId: string): CallMcpToolResult {
  return errorResult(
    callId,
    'The worker that made this call vanished. Whether the call took effect is not known, and it was ' +
      'not made again.',
  );
}

function errorResult(callId: string, text: string): CallMcpToolResult {
  return {
    events: [
      {
        type: 'agent.mcp_tool_result',
        mcp_tool_use_id: callId,
        content: [{ type: 'text', text }],
        is_error: true,
      },
    ],
  };
}
