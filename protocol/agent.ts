import { z } from 'zod';
import { bounded } from './bounded.ts';
import { checkAgentTools } from './check-agent-tools.ts';
import { HandKey } from './hand-key.ts';
import { HAND_TOOLS } from './hand-tools.ts';
import { McpServer, McpToolset } from './mcp.ts';
import { PermissionPolicy } from './permission-policy.ts';
import { RegistryId } from './registry-id.ts';
import { ToolsQueue } from './task-queue.ts';

/** Server-side tools of the toolset: the Messages API runs them. Off unless enabled by name. */
export const SERVER_TOOLS = ['web_search', 'web_fetch'] as const;

const ToolConfig = z.strictObject({
  name: z.enum([...HAND_TOOLS, ...SERVER_TOOLS]),
  enabled: z.boolean().optional(),
  permission_policy: PermissionPolicy.optional(),
});

const AgentToolset = z.strictObject({
  type: z.literal('agent_toolset_20260401'),
  default_config: z
    .strictObject({
      enabled: z.boolean().optional(),
      permission_policy: PermissionPolicy.optional(),
    })
    .optional(),
  configs: z.array(ToolConfig).default([]),
});

const CustomTool = z
  .strictObject({
    type: z.literal('custom'),
    name: z.string().regex(/^[a-zA-Z0-9_-]{1,128}$/, 'must match ^[a-zA-Z0-9_-]{1,128}$'),
    description: z.string(),
    input_schema: z.looseObject({ type: z.literal('object') }),
    /** The session's hand that runs it. Default: none, the client answers it. */
    hand: HandKey.optional(),
    /** Whose worker runs it, as activity `execute(name, input)`. Default: none. */
    task_queue: ToolsQueue.optional(),
  })
  .refine(({ hand, task_queue }) => hand === undefined || task_queue === undefined, {
    path: ['task_queue'],
    message: 'cannot be given beside hand: a tool is run in one place',
  });

const Model = z.preprocess(
  (value) => (typeof value === 'string' ? { id: value } : value),
  z.strictObject({
    id: z.string().min(1),
    effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).optional(),
    speed: z.enum(['standard', 'fast']).optional(),
  }),
);

const Thinking = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('adaptive') }),
  z.strictObject({ type: z.literal('enabled'), budget_tokens: z.int().min(1024) }),
  z.strictObject({ type: z.literal('disabled') }),
]);

/**
 * Workarounds for what models are weak at, each named, on by default, off per agent, and recorded
 * on every model request that it shaped, so that it can be measured and pruned.
 */
export const ASSUMPTIONS = {
  continue_after_max_tokens:
    'an answer cut at the output limit is continued when asked to, at most three times in a row',
  note_interrupt: 'a model that is told it was interrupted does not repeat what it was doing',
} as const;

export type Assumption = keyof typeof ASSUMPTIONS;

const MAX_TOOLS = 500;
const MAX_MCP_SERVERS = 20;

/** An agent, in the shape of the Managed Agents API (`resources/beta/agents`), with Drover's defaults. */
export const AgentDefinition = z
  .strictObject({
    name: z.string().min(1).max(256).default('agent'),
    description: z.string().nullish(),
    model: Model.default({ id: 'claude-sonnet-5-5' }),
    system: z.string().nullish(),
    tools: bounded(
      z.array(z.discriminatedUnion('type', [AgentToolset, McpToolset, CustomTool])),
      MAX_TOOLS,
      'tools',
    ).default([]),
    /** Each is offered to the model by a tool of type `mcp_toolset`. */
    mcp_servers: bounded(z.array(McpServer), MAX_MCP_SERVERS, 'MCP servers').optional(),
    metadata: z.record(z.string(), z.string()).default({}),
    /** Output tokens of one answer. */
    max_tokens: z.int().min(1).default(32_000),
    thinking: Thinking.optional(),
    assumptions: z
      .partialRecord(z.enum(Object.keys(ASSUMPTIONS) as [Assumption, ...Assumption[]]), z.boolean())
      .default({}),
  })
  .superRefine((agent, context) => {
    for (const { path, message } of checkAgentTools(agent)) {
      context.addIssue({ code: 'custom', path: [...path], message });
    }
  });
export type AgentDefinition = z.infer<typeof AgentDefinition>;
export type AgentInput = z.input<typeof AgentDefinition>;

/** The agent of a session that names none. Its toolset runs only inside isolation. */
export const DEFAULT_AGENT: AgentDefinition = AgentDefinition.parse({
  name: 'drover',
  system:
    'You are a careful software engineer working in a sandbox. Use the tools to look before you act, ' +
    'make the smallest change that does what was asked, and prove it by running it. Relative paths ' +
    'are relative to the workspace.',
  tools: [{ type: 'agent_toolset_20260401' }],
});

/** A registered agent: a version never changes once it exists. */
export const AgentReference = z.strictObject({
  type: z.literal('agent'),
  id: RegistryId,
  version: z.int().min(1).optional(),
});
export type AgentReference = z.infer<typeof AgentReference>;

/** An agent as a session uses it. `id` and `version` are null for an inline definition. */
export interface ResolvedAgent {
  readonly id: string | null;
  readonly version: number | null;
  readonly definition: AgentDefinition;
}
