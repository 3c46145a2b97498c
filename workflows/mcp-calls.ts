import { workflowInfo } from '@temporalio/workflow';
import { MAIN_HAND } from '../protocol/hand.ts';
import type { McpServer, SpilledResult } from '../protocol/mcp.ts';
import type { OpenCall } from '../protocol/session.ts';
import type { AgentMcpToolResult } from '../protocol/session-event.ts';
import { vaultQueueOf } from '../protocol/task-queue.ts';
import { grantFor } from '../protocol/tool-permission.ts';
import { callMcpTool } from './activities.ts';
import { errorResult, recordEvents } from './inbox.ts';
import type { SessionState } from './session-state.ts';
import { summarizeCall } from './summary.ts';

/**
 * Makes a call of an MCP tool. It has its result in the log, but for one that is too large: that is
 * returned, to be put into the session's hand.
 *
 * @throws ActivityFailure which the log projects as this call's error result.
 */
export async function callServer(
  state: SessionState,
  call: OpenCall,
): Promise<SpilledResult | undefined> {
  const server = serverOf(state, call);
  if (server === undefined) {
    const text = `Nothing ran: the agent has no MCP server "${call.mcp_server_name}".`;
    await recordEvents(state, [errorResult(call, text)]);
    return undefined;
  }
  const { id, name, input } = call;
  const options = {
    taskQueue: vaultQueueOf(workflowInfo().taskQueue),
    summary: summarizeCall(call),
  };
  const { events, spilled, tools_changed } = await callMcpTool.executeWithOptions(options, [
    {
      server,
      vault_ids: state.vaultIds,
      chain_id: workflowInfo().firstExecutionRunId,
      call: { id, name, input },
      may_spill: canReadFiles(state),
    },
  ]);
  state.noteDetails(events);
  if (tools_changed === true) state.mcpListings.delete(server.name);
  return spilled;
}

function serverOf(state: SessionState, call: OpenCall): McpServer | undefined {
  const servers = state.agent?.definition.mcp_servers ?? [];
  return servers.find(({ name }) => name === call.mcp_server_name);
}

function canReadFiles(state: SessionState): boolean {
  const definition = state.agent?.definition;
  if (definition === undefined) return false;
  return ['read', 'bash'].some((tool) => grantFor(definition, tool) !== undefined);
}

/** The call by which a hand writes the file of a result. */
export function fileCall(call: OpenCall, { path }: SpilledResult): OpenCall {
  const { mcp_server_name: _server, ...rest } = call;
  return { ...rest, name: 'write', input: { file_path: path }, hand: MAIN_HAND };
}

/** The result of a call whose file could not be written. */
export function withoutFile({ attachment }: SpilledResult, why: string): AgentMcpToolResult {
  const { result } = attachment;
  const text = `[The whole result could not be put into a file: ${why}]`;
  return { ...result, content: [...(result.content ?? []), { type: 'text', text }] };
}
