import { isObject, type JsonObject } from '../../protocol/json-object.ts';
import type {
  AgentCustomToolUse,
  AgentMcpToolUse,
  AgentToolUse,
  ContentBlock,
  Permission,
  RecordedEvent,
  SessionEvent,
} from '../../protocol/session-event.ts';
import type { OfferedTool } from './context/offered-tools.ts';

type ToolUseBlock = Extract<ContentBlock, { type: 'tool_use' }>;
type ToolUseEvent = Extract<
  RecordedEvent | SessionEvent,
  { type: 'agent.tool_use' | 'agent.custom_tool_use' | 'agent.mcp_tool_use' }
>;

/**
 * The blocks that an event stands for, exactly as the model said them: the inverse of the functions
 * below. Empty for events that are not part of an answer.
 */
export function toBlocks(event: RecordedEvent | SessionEvent): readonly ContentBlock[] {
  switch (event.type) {
    case 'agent.message':
      return event.block === undefined ? event.content : [event.block];
    case 'agent.thinking':
    case 'agent.thread_context_compacted':
      return [event.block];
    case 'agent.tool_use':
    case 'agent.custom_tool_use':
    case 'agent.mcp_tool_use':
      return [toToolUseBlock(event)];
    case 'agent.tool_result':
    case 'agent.mcp_tool_result':
      return event.block === undefined ? [] : [event.block];
    default:
      return [];
  }
}

export function toolUse(block: ToolUseBlock, permission: Permission): AgentToolUse {
  const { id, name } = block;
  const input = inputOf(block);
  return {
    type: 'agent.tool_use',
    id,
    name,
    input,
    evaluated_permission: permission,
    ...rest(block),
  };
}

export function customToolUse(block: ToolUseBlock): AgentCustomToolUse {
  const { id, name } = block;
  return { type: 'agent.custom_tool_use', id, name, input: inputOf(block), ...rest(block) };
}

/** The block is kept: in it the tool has the name by which the model knows it. */
export function mcpToolUse(block: ToolUseBlock, offered: OfferedTool): AgentMcpToolUse {
  return {
    type: 'agent.mcp_tool_use',
    id: block.id,
    name: offered.tool.name,
    mcp_server_name: offered.server,
    input: inputOf(block),
    evaluated_permission: offered.permission,
    block: withoutInput(block),
  };
}

/** The event of any block that is not a call for a client tool. */
export function otherEvent(block: ContentBlock): RecordedEvent {
  switch (block.type) {
    case 'text':
      return { type: 'agent.message', content: [block] };
    case 'thinking':
    case 'redacted_thinking':
      return { type: 'agent.thinking', block };
    case 'compaction':
      return { type: 'agent.thread_context_compacted', block };
    case 'server_tool_use':
      return {
        type: 'agent.tool_use',
        id: block.id,
        name: block.name,
        input: inputOf(block),
        evaluated_permission: 'allow',
        block: withoutInput(block),
      };
    case 'mcp_tool_use':
      return {
        type: 'agent.mcp_tool_use',
        id: block.id,
        name: block.name,
        mcp_server_name: block.server_name,
        input: inputOf(block),
        evaluated_permission: 'allow',
        block: withoutInput(block),
      };
    case 'mcp_tool_result':
      return {
        type: 'agent.mcp_tool_result',
        mcp_tool_use_id: block.tool_use_id,
        is_error: block.is_error,
        block,
      };
    default:
      return 'tool_use_id' in block
        ? { type: 'agent.tool_result', tool_use_id: block.tool_use_id, ...errorOf(block), block }
        : { type: 'agent.message', content: [], block };
  }
}

/** Results of server tools name their failure by the type of their content. */
function errorOf(block: { readonly content: unknown }): { is_error?: true } {
  const { content } = block;
  const type = isObject(content) ? content['type'] : undefined;
  return typeof type === 'string' && type.endsWith('_error') ? { is_error: true } : {};
}

function inputOf(block: { readonly input: unknown }): JsonObject {
  return isObject(block.input) ? block.input : {};
}

/** Keeps the place of `input` among the keys; its value stands in the event. */
function withoutInput<Block extends ContentBlock & { input: unknown }>(block: Block): Block {
  return { ...block, input: {} };
}

/** A block is stored only when id, name and input do not say all of it, in the same order. */
function rest(block: ToolUseBlock): { block?: ContentBlock } {
  const plain = { type: 'tool_use', id: block.id, name: block.name, input: inputOf(block) };
  return JSON.stringify(plain) === JSON.stringify(block) ? {} : { block: withoutInput(block) };
}

function toToolUseBlock(event: ToolUseEvent): ContentBlock {
  const { id, name, input } = event;
  if (event.block !== undefined) return { ...event.block, input } as ContentBlock;
  if (event.type === 'agent.mcp_tool_use') {
    return { type: 'mcp_tool_use', id, name, server_name: event.mcp_server_name, input };
  }
  return { type: 'tool_use', id, name, input };
}
