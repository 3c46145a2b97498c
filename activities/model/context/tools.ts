import type Anthropic from '@anthropic-ai/sdk';
import { betaAgentToolset20260401 } from '@anthropic-ai/sdk/tools/agent-toolset/node';
import { type AgentDefinition, SERVER_TOOLS } from '../../../protocol/agent.ts';
import { MAIN_HAND } from '../../../protocol/hand.ts';
import { HAND_TOOLS } from '../../../protocol/hand-tools.ts';
import type { ToolHand } from '../../../protocol/tool-hands.ts';
import { grantFor } from '../../../protocol/tool-permission.ts';
import type { Speaker } from '../speaker.ts';
import type { OfferedTool } from './offered-tools.ts';

type Tool = Anthropic.Beta.BetaToolUnion;
type HandTool = Anthropic.Beta.BetaTool;

/** The forms without dynamic filtering: that would need the code execution tool as well. */
const SERVER_TOOL_PARAMS: Readonly<Record<(typeof SERVER_TOOLS)[number], Tool>> = {
  web_search: { type: 'web_search_20250305', name: 'web_search' },
  web_fetch: { type: 'web_fetch_20250910', name: 'web_fetch' },
};

/** Tools of the agent in an order that never changes: the prompt cache starts with them. */
export function toTools({ agent, hands, mcpTools }: Speaker): Tool[] {
  const serverTools = SERVER_TOOLS.filter((name) => grantFor(agent, name)?.kind === 'server');
  const customTools = agent.tools.flatMap((tool): Tool[] => {
    if (tool.type !== 'custom') return [];
    const { name, description, input_schema } = tool;
    return [{ type: 'custom', name, description, input_schema }];
  });
  return [
    ...handTools(agent).map((tool) => withHand(tool, hands)),
    ...serverTools.map((name) => SERVER_TOOL_PARAMS[name]),
    ...customTools,
    ...mcpTools.map(mcpTool),
  ];
}

function mcpTool({ name, server, tool }: OfferedTool): Tool {
  const { description, input_schema } = tool;
  return {
    type: 'custom',
    name,
    description: description ?? `Tool "${tool.name}" of MCP server "${server}".`,
    input_schema: input_schema as HandTool['input_schema'],
  };
}

/** As the SDK words them, for the model learned these tools from its wording. Nothing is run here. */
function handTools(agent: AgentDefinition): HandTool[] {
  const toolset = betaAgentToolset20260401({ workdir: '.' });
  return HAND_TOOLS.filter((name) => grantFor(agent, name) !== undefined).map((toolName) => {
    const tool = toolset.find(({ name }) => name === toolName);
    if (tool === undefined || !('input_schema' in tool) || !('description' in tool)) {
      throw new TypeError(`the SDK's agent toolset has no tool ${toolName}`);
    }
    const { name, description, input_schema } = tool;
    return {
      type: 'custom',
      name,
      ...(description ? { description } : {}),
      input_schema,
    } as HandTool;
  });
}

/** With more than one hand a tool is told which one to use. */
function withHand(tool: HandTool, hands: readonly ToolHand[]): HandTool {
  if (hands.length < 2) return tool;
  const { input_schema } = tool;
  const list = hands.map(({ name, description }) =>
    description ? `${name} (${description})` : name,
  );
  const hand = {
    type: 'string',
    enum: hands.map(({ name }) => name),
    description: `Which machine to use: ${list.join('; ')}. Default: ${MAIN_HAND}. They share no files.`,
  };
  const properties = { ...Object(input_schema.properties), hand };
  return { ...tool, input_schema: { ...input_schema, properties } };
}
