import { z } from 'zod';
import type { Attachment } from './attachment.ts';
import type { ToolCall } from './hand.ts';
import { McpServerUrl } from './mcp-server-url.ts';
import { PermissionPolicy } from './permission-policy.ts';
import type { AgentMcpToolResult, Permission, SessionError } from './session-event.ts';

/** A server of an agent. Credentials are found by its URL, in the vaults of the session. */
export const McpServer = z.strictObject({
  type: z.literal('url'),
  name: z.string().min(1).max(255),
  url: McpServerUrl,
});
export type McpServer = z.infer<typeof McpServer>;

const ToolRules = {
  enabled: z.boolean().nullish(),
  permission_policy: PermissionPolicy.nullish(),
};

/**
 * What the model is offered of one server. By default all of its tools, each call asked for: a
 * server may come to offer tools that nobody has seen.
 */
export const McpToolset = z.strictObject({
  type: z.literal('mcp_toolset'),
  mcp_server_name: z.string().min(1).max(255),
  default_config: z.strictObject(ToolRules).nullish(),
  configs: z.array(z.strictObject({ name: z.string().min(1), ...ToolRules })).default([]),
});
export type McpToolset = z.infer<typeof McpToolset>;

/** What an agent may do with a tool of a server; undefined when it is not enabled. */
export function mcpPermission(toolset: McpToolset, toolName: string): Permission | undefined {
  const { default_config, configs } = toolset;
  const config = configs.find(({ name }) => name === toolName);
  if (!(config?.enabled ?? default_config?.enabled ?? true)) return undefined;
  const policy = config?.permission_policy ?? default_config?.permission_policy;
  return policy?.type === 'always_allow' ? 'allow' : 'ask';
}

/** A tool as its server described it, when the session asked. */
export interface McpTool {
  readonly name: string;
  readonly description?: string;
  readonly input_schema: Readonly<Record<string, unknown>>;
}

/** Lists of tools by the name of their server. */
export type McpTools = Readonly<Record<string, readonly McpTool[]>>;

interface McpRequest {
  readonly server: McpServer;
  /** Vaults of the session, in the order in which they are searched. */
  readonly vault_ids: readonly string[];
}

export interface ListMcpToolsInput extends McpRequest {
  readonly toolset: McpToolset;
}

/** It is part of the history, which is where a model step reads it. */
export interface ListMcpToolsResult {
  readonly server: string;
  /** Those that are enabled. Null: the server could not be asked. */
  readonly tools: readonly McpTool[] | null;
  readonly events: readonly SessionError[];
}

export interface CallMcpToolInput extends McpRequest {
  /** Run id of the session's first run; absent in histories from before it was told. */
  readonly chain_id?: string;
  readonly call: ToolCall;
  /** Whether the model could read a file in a hand, into which a large result is put. */
  readonly may_spill: boolean;
}

export interface CallMcpToolResult {
  /** The result, unless it is spilled; before it, what a person should know of. */
  readonly events: readonly (AgentMcpToolResult | SessionError)[];
  readonly spilled?: SpilledResult;
  /** The server said that its tools are others now. */
  readonly tools_changed?: true;
}

/** A result too large for the log: it stands in the store, for a file in the session's hand. */
export interface SpilledResult {
  /** Relative to the workspace. */
  readonly path: string;
  readonly attachment: Attachment;
}

/** Heartbeat details of `callMcpTool` are `ExecuteProgress`. */
export interface McpActivities {
  /** Never fails for a server's sake: what was wrong with it is told by events. */
  listMcpTools(input: ListMcpToolsInput): Promise<ListMcpToolsResult>;
  /**
   * Makes one call at most once. What cannot be called, refuses, or leaves the outcome unknown is a
   * result with `is_error`.
   *
   * @throws ApplicationFailure `Mcp.NotSent`, retryable: the server surely got no request.
   */
  callMcpTool(input: CallMcpToolInput): Promise<CallMcpToolResult>;
}

/** Attempts to call a server that cannot be reached, in all. */
export const MCP_CALL_ATTEMPTS = 3;
