import { z } from 'zod';
import type { RecordedBlock, RecordedItem, RecordedResult, Recording } from './recording.ts';
import { toItems } from './recording.ts';

const Text = z.object({ type: z.literal('text'), text: z.string() });
const Block = z.discriminatedUnion('type', [
  Text,
  z.object({ type: z.literal('thinking'), thinking: z.string(), thinkingSignature: z.string() }),
  z.object({
    type: z.literal('toolCall'),
    id: z.string(),
    name: z.string(),
    arguments: z.record(z.string(), z.unknown()),
  }),
]);
const Message = z.discriminatedUnion('role', [
  z.object({ role: z.literal('user'), content: z.array(Text) }),
  z.object({
    role: z.literal('assistant'),
    content: z.array(Block),
    stopReason: z.enum(['toolUse', 'stop', 'aborted', 'error']),
  }),
  z.object({
    role: z.literal('toolResult'),
    toolCallId: z.string(),
    content: z.array(Text),
    isError: z.boolean(),
  }),
]);
const MessageRecord = z.object({ type: z.literal('message'), message: Message });
const OtherRecord = z.object({
  type: z.enum(['session', 'model_change', 'thinking_level_change']),
});
const RecordLine = z.discriminatedUnion('type', [MessageRecord, OtherRecord]);

const ENDS = {
  toolUse: 'complete',
  stop: 'complete',
  aborted: 'interrupted',
  error: 'broken',
} as const;

type Message = z.infer<typeof Message>;

/** A session log of the pi coding agent, format in the fixtures' README. */
export function readPiRecording(name: string, text: string): Recording {
  const messages = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => RecordLine.parse(JSON.parse(line)))
    .flatMap((record) => (record.type === 'message' ? [record.message] : []));
  const results = new Map<string, RecordedResult>();
  for (const message of messages) {
    if (message.role === 'toolResult') results.set(message.toolCallId, toResult(message));
  }
  return { name, items: toItems(messages.flatMap((message) => toItem(message, results))) };
}

function toItem(message: Message, results: ReadonlyMap<string, RecordedResult>): RecordedItem[] {
  switch (message.role) {
    case 'user':
      return [{ type: 'input', texts: message.content.map((block) => block.text) }];
    case 'toolResult':
      return [];
    case 'assistant': {
      const blocks = message.content.map(toBlock);
      return [
        {
          type: 'turn',
          blocks,
          results: blocks.flatMap((block) =>
            block.type === 'tool_use' ? (results.get(block.id) ?? []) : [],
          ),
          end: ENDS[message.stopReason],
        },
      ];
    }
  }
}

function toBlock(block: z.infer<typeof Block>): RecordedBlock {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: block.text };
    case 'thinking':
      return { type: 'thinking', thinking: block.thinking, signature: block.thinkingSignature };
    case 'toolCall':
      return { type: 'tool_use', id: block.id, name: block.name, input: block.arguments };
  }
}

function toResult(message: Extract<Message, { role: 'toolResult' }>): RecordedResult {
  return {
    tool_use_id: message.toolCallId,
    texts: message.content.map((block) => block.text),
    is_error: message.isError,
  };
}
