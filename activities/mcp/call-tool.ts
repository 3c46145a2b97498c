import type { Progress } from '@modelcontextprotocol/client';
import { z } from 'zod';
import {
  type CallMcpToolInput,
  type CallMcpToolResult,
  MCP_CALL_ATTEMPTS,
} from '../../protocol/mcp.ts';
import type { AgentMcpToolResult } from '../../protocol/session-event.ts';
import { callInterrupted, notSent } from './call-failure.ts';
import type { Connection } from './connections.ts';
import { type Opened, openServer, type ServerAccess } from './open-server.ts';
import type { Problem } from './problem.ts';
import type { Redactor } from './redactor.ts';
import { readResult, type ServerResult } from './result-content.ts';
import { serverError } from './server-error.ts';
import { type SpillPlace, spillResult } from './spill-result.ts';

/** Without a word of progress; each one starts it anew. */
const SILENCE_MS = 5 * 60_000;
const LONGEST_MS = 2.5 * 60 * 60_000;

export interface CallAccess extends ServerAccess {
  readonly attempt: number;
  readonly spillPlace: SpillPlace;
  /** What the server says while it works, without secrets. */
  onProgress(words: string): void;
}

/** What a server answers, as loosely as can be: nothing of it is lost for its form. */
const Answer = z.looseObject({
  content: z.array(z.unknown()).optional(),
  structuredContent: z.unknown().optional(),
  isError: z.boolean().optional(),
});

interface Called {
  readonly result: ServerResult;
  readonly haveToolsChanged: boolean;
}

/**
 * Makes one call, at most once.
 *
 * @throws ApplicationFailure `Mcp.NotSent` while another attempt is allowed and surely harmless.
 */
export async function callTool(
  access: CallAccess,
  input: CallMcpToolInput,
): Promise<CallMcpToolResult> {
  const sent: Sent = { isSent: false, onHeld: false };
  try {
    const first = await attempt(access, input, sent);
    const opened = isStale(first, sent) ? await attempt(access, input, sent) : first;
    if ('problem' in opened) return failed(access, input, opened.problem);
    return await told(access, input, opened.value);
  } catch (error) {
    if (!access.signal.aborted) throw error;
    return callInterrupted(access.signal, input.call.id, sent.isSent);
  }
}

interface Sent {
  isSent: boolean;
  /** On a connection that was there before. */
  onHeld: boolean;
}

/** The connection had ended while nobody used it, so that the server refused the request. */
function isStale(opened: Opened<Called>, { onHeld }: Sent): boolean {
  if (!onHeld || !('problem' in opened)) return false;
  return opened.problem.kind === 'connection' && opened.problem.isNotSent;
}

function attempt(
  access: CallAccess,
  { server, call }: CallMcpToolInput,
  sent: Sent,
): Promise<Opened<Called>> {
  return openServer(access, server, async (connection, wasHeld) => {
    sent.isSent = true;
    sent.onHeld = wasHeld;
    const answer = await request(access, connection, call);
    return {
      result: readResult(answer, connection.redactor),
      haveToolsChanged: connection.takeToolsChanged(),
    };
  });
}

async function request(
  { signal, onProgress }: CallAccess,
  { client, redactor }: Connection,
  { name, input }: CallMcpToolInput['call'],
): Promise<z.infer<typeof Answer>> {
  const params = { name, arguments: input };
  return client.request({ method: 'tools/call', params }, Answer, {
    signal,
    timeout: SILENCE_MS,
    maxTotalTimeout: LONGEST_MS,
    resetTimeoutOnProgress: true,
    onprogress: (progress) => onProgress(describeProgress(progress, redactor)),
  });
}

function describeProgress(progress: Progress, redactor: Redactor): string {
  const { progress: done, total, message } = progress;
  const count = total === undefined ? `${done}` : `${done} of ${total}`;
  return redactor.redact(message === undefined ? count : `${count}: ${message}`).slice(0, 2_000);
}

function failed(
  { attempt: number }: CallAccess,
  { server, call }: CallMcpToolInput,
  problem: Problem,
): CallMcpToolResult {
  const subject = `MCP server "${server.name}"`;
  if (problem.isNotSent && problem.mayPass && number < MCP_CALL_ATTEMPTS) {
    throw notSent(`${subject}: ${problem.words}`);
  }
  const outcome = problem.isNotSent
    ? 'Nothing ran'
    : 'Whether it took effect is not known, and it was not tried again';
  const text =
    problem.kind === 'answer'
      ? `${subject} answered: ${problem.words}.`
      : `${outcome}: ${subject}: ${problem.words}.`;
  const result: AgentMcpToolResult = {
    type: 'agent.mcp_tool_result',
    mcp_tool_use_id: call.id,
    content: [{ type: 'text', text }],
    is_error: true,
  };
  if (problem.kind === 'answer') return { events: [result] };
  return { events: [serverError(server.name, problem, `${subject}: `), result] };
}

async function told(
  { spillPlace }: CallAccess,
  { call, may_spill }: CallMcpToolInput,
  { result, haveToolsChanged }: Called,
): Promise<CallMcpToolResult> {
  const changed = haveToolsChanged ? { tools_changed: true as const } : {};
  const place = may_spill ? spillPlace : undefined;
  return { ...(await spillResult(call.id, result, place)), ...changed };
}
