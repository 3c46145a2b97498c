import { type AgentDefinition, SERVER_TOOLS } from './agent.ts';
import { HAND_TOOLS } from './hand-tools.ts';
import type { Permission } from './session-event.ts';

/** Who runs it: a hand, the Messages API, the client, or somebody's own worker. */
export type ToolKind = 'hand' | 'server' | 'custom' | 'pushed';

export interface ToolGrant {
  readonly kind: ToolKind;
  readonly permission: Permission;
}

/**
 * What an agent may do with a tool that its definition names, or undefined when it has none of that
 * name. Tools of MCP servers have names of their own (`offerMcpTools`).
 */
export function grantFor(agent: AgentDefinition, toolName: string): ToolGrant | undefined {
  for (const tool of agent.tools) {
    if (tool.type === 'mcp_toolset') continue;
    const grant =
      tool.type === 'custom' ? customGrant(tool, toolName) : toolsetGrant(tool, toolName);
    if (grant !== undefined) return grant;
  }
  return undefined;
}

type Tool = AgentDefinition['tools'][number];
type Custom = Extract<Tool, { type: 'custom' }>;
type Toolset = Extract<Tool, { type: 'agent_toolset_20260401' }>;

function customGrant(tool: Custom, toolName: string): ToolGrant | undefined {
  if (tool.name !== toolName) return undefined;
  if (tool.task_queue !== undefined) return { kind: 'pushed', permission: 'allow' };
  return { kind: tool.hand === undefined ? 'custom' : 'hand', permission: 'allow' };
}

function toolsetGrant(toolset: Toolset, toolName: string): ToolGrant | undefined {
  const kind = toolsetKind(toolName);
  if (kind === undefined) return undefined;
  const config = toolset.configs.find((candidate) => candidate.name === toolName);
  const byDefault = kind === 'hand' && (toolset.default_config?.enabled ?? true);
  if (!(config?.enabled ?? byDefault)) return undefined;
  const policy = config?.permission_policy ?? toolset.default_config?.permission_policy;
  return { kind, permission: policy?.type === 'always_ask' ? 'ask' : 'allow' };
}

function toolsetKind(toolName: string): 'hand' | 'server' | undefined {
  if (HAND_TOOLS.some((name) => name === toolName)) return 'hand';
  return SERVER_TOOLS.some((name) => name === toolName) ? 'server' : undefined;
}
