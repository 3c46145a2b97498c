import { createHash } from 'node:crypto';
import { type AgentDefinition, SERVER_TOOLS } from '../../../protocol/agent.ts';
import { HAND_TOOLS } from '../../../protocol/hand-tools.ts';
import { type McpTool, type McpTools, mcpPermission } from '../../../protocol/mcp.ts';
import type { Permission } from '../../../protocol/session-event.ts';

/** A tool of an MCP server as the model sees it. */
export interface OfferedTool {
  /** What the model calls it: no two tools of a request have the same. */
  readonly name: string;
  readonly server: string;
  readonly tool: McpTool;
  readonly permission: Permission;
}

/** The API allows no longer one. */
const MAX_NAME_LENGTH = 128;
const HASH_LENGTH = 8;

/**
 * The tools of an agent's MCP servers, in the order in which agent and servers name them. A name is
 * `mcp__<server>__<tool>`; where that is no name to the API, or another tool's, a hash makes it one.
 */
export function offerMcpTools(agent: AgentDefinition, lists: McpTools): OfferedTool[] {
  const taken = new Set<string>([...HAND_TOOLS, ...SERVER_TOOLS]);
  for (const tool of agent.tools) if (tool.type === 'custom') taken.add(tool.name);
  return agent.tools.flatMap((toolset): OfferedTool[] => {
    if (toolset.type !== 'mcp_toolset') return [];
    const server = toolset.mcp_server_name;
    const tools = Object.hasOwn(lists, server) ? (lists[server] ?? []) : [];
    return tools.flatMap((tool): OfferedTool[] => {
      const permission = mcpPermission(toolset, tool.name);
      if (permission === undefined) return [];
      const name = freeName(server, tool.name, taken);
      taken.add(name);
      return [{ name, server, tool, permission }];
    });
  });
}

function freeName(server: string, tool: string, taken: ReadonlySet<string>): string {
  const whole = `mcp__${server}__${tool}`;
  const clean = whole.replaceAll(/[^a-zA-Z0-9_-]/g, '_');
  if (clean === whole && clean.length <= MAX_NAME_LENGTH && !taken.has(clean)) return clean;
  for (let salt = 0; ; salt += 1) {
    const hash = createHash('sha256')
      .update(JSON.stringify([server, tool, salt]))
      .digest('hex');
    const head = clean.slice(0, MAX_NAME_LENGTH - HASH_LENGTH - 1);
    const name = `${head}_${hash.slice(0, HASH_LENGTH)}`;
    if (!taken.has(name)) return name;
  }
}
