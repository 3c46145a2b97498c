import type { RehearsalBlock } from './player.ts';

export type StreamEvent = { readonly type: string } & Readonly<Record<string, unknown>>;

type Block = Readonly<Record<string, unknown>> & { readonly type: string };

/** A whole message as the API stores it, taken apart into the events of a stream. */
export function toStreamEvents(
  message: Readonly<Record<string, unknown>> & { readonly content: readonly RehearsalBlock[] },
  deltaCharacters: number,
): StreamEvent[] {
  const { content, stop_reason, stop_sequence, stop_details, usage, ...rest } = message;
  const { context_management, container, ...start } = rest;
  const blocks = content.map((block): Block => ({ ...block }));
  return [
    {
      type: 'message_start',
      message: {
        ...start,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { ...Object(usage), output_tokens: 1 },
      },
    },
    { type: 'ping' },
    ...blocks.flatMap((block, index) => blockEvents(block, index, deltaCharacters)),
    {
      type: 'message_delta',
      delta: {
        stop_reason,
        stop_sequence: stop_sequence ?? null,
        ...(stop_details === undefined ? {} : { stop_details }),
        ...(container === undefined ? {} : { container }),
      },
      usage,
      ...(context_management === undefined ? {} : { context_management }),
    },
    { type: 'message_stop' },
  ];
}

function blockEvents(block: Block, index: number, deltaCharacters: number): StreamEvent[] {
  const { opening, deltas } = takeApart(block, deltaCharacters);
  return [
    { type: 'content_block_start', index, content_block: opening },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ];
}

/** Kinds that the API sends in pieces; results of server tools and redacted thinking come whole. */
function takeApart(block: Block, size: number): { opening: Block; deltas: Block[] } {
  switch (block.type) {
    case 'text':
      return textParts(block, size);
    case 'thinking':
      return {
        opening: { ...block, thinking: '', signature: '' },
        deltas: [
          ...pieces(block['thinking'], size).map((thinking) => ({
            type: 'thinking_delta',
            thinking,
          })),
          { type: 'signature_delta', signature: block['signature'] },
        ],
      };
    case 'tool_use':
    case 'server_tool_use':
    case 'mcp_tool_use':
      return {
        opening: { ...block, input: {} },
        deltas: ['', ...pieces(JSON.stringify(block['input']), size)].map((partial_json) => ({
          type: 'input_json_delta',
          partial_json,
        })),
      };
    case 'compaction': {
      const { type: _type, ...fields } = block;
      const empty = Object.fromEntries(Object.keys(fields).map((key) => [key, null]));
      return {
        opening: { type: 'compaction', ...empty },
        deltas: [{ ...fields, type: 'compaction_delta' }],
      };
    }
    default:
      return { opening: block, deltas: [] };
  }
}

function textParts(block: Block, size: number): { opening: Block; deltas: Block[] } {
  const citations = Array.isArray(block['citations']) ? block['citations'] : [];
  return {
    opening: { ...block, text: '', ...(citations.length > 0 ? { citations: [] } : {}) },
    deltas: [
      ...citations.map((citation) => ({ type: 'citations_delta', citation })),
      ...pieces(block['text'], size).map((text) => ({ type: 'text_delta', text })),
    ],
  };
}

/** Never splits a surrogate pair: JSON text of a half would not survive. */
function pieces(value: unknown, size: number): string[] {
  const characters = Array.from(typeof value === 'string' ? value : '');
  const parts: string[] = [];
  for (let start = 0; start < characters.length; start += size) {
    parts.push(characters.slice(start, start + size).join(''));
  }
  return parts;
}
