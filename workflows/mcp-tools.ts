import { ActivityFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { ListMcpToolsInput } from '../protocol/mcp.ts';
import { vaultQueueOf } from '../protocol/task-queue.ts';
import { listMcpTools } from './activities.ts';
import type { SessionState } from './session-state.ts';

/** Requests for the tools of the agent's servers that are not in the log yet. */
export function unknownMcpServers(state: SessionState): ListMcpToolsInput[] {
  return requests(state).filter(({ server }) => {
    const listing = state.mcpListings.get(server.name);
    return listing === undefined || !(listing.is_known || listing.turn === state.turns);
  });
}

/**
 * Has MCP servers asked for their tools: the answers stand in the log, where every model step reads
 * them. A server that could not be asked is asked again in another turn.
 */
export async function learnMcpTools(
  state: SessionState,
  unknown: readonly ListMcpToolsInput[],
): Promise<void> {
  await Promise.all(unknown.map((request) => learn(state, request)));
}

function requests(state: SessionState): ListMcpToolsInput[] {
  const { tools = [], mcp_servers = [] } = state.agent?.definition ?? {};
  return tools.flatMap((toolset): ListMcpToolsInput[] => {
    if (toolset.type !== 'mcp_toolset') return [];
    const server = mcp_servers.find(({ name }) => name === toolset.mcp_server_name);
    return server === undefined ? [] : [{ server, toolset, vault_ids: state.vaultIds }];
  });
}

async function learn(state: SessionState, request: ListMcpToolsInput): Promise<void> {
  const { name } = request.server;
  let isKnown = false;
  try {
    const taskQueue = vaultQueueOf(workflowInfo().taskQueue);
    const options = { taskQueue, summary: `tools of ${name}`.slice(0, 100) };
    const { tools, events } = await listMcpTools.executeWithOptions(options, [request]);
    state.noteDetails(events);
    isKnown = tools !== null;
  } catch (error) {
    // Interrupted: it is asked when the next message comes.
    if (isCancellation(error)) return;
    // The log projects a failed `listMcpTools` as an error of the session.
    if (!(error instanceof ActivityFailure)) throw error;
  }
  state.mcpListings.set(name, { turn: state.turns, is_known: isKnown });
}
