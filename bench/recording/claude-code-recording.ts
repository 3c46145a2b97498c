import { z } from 'zod';
import { HAND_TOOLS } from '../../protocol/hand-tools.ts';
import type { RecordedBlock, RecordedItem, RecordedResult, Recording } from './recording.ts';
import { toItems } from './recording.ts';

const Text = z.object({ type: z.literal('text'), text: z.string() });
const ToolResult = z.object({
  type: z.literal('tool_result'),
  tool_use_id: z.string(),
  content: z.union([z.string(), z.array(Text)]),
  is_error: z.boolean().optional(),
});
const AnswerBlock = z.discriminatedUnion('type', [
  Text,
  z.object({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() }),
  z.object({
    type: z.literal('tool_use'),
    id: z.string(),
    name: z.string(),
    input: z.record(z.string(), z.unknown()),
  }),
]);
const UserRecord = z.object({
  type: z.literal('user'),
  message: z.object({
    content: z.union([z.string(), z.array(z.discriminatedUnion('type', [Text, ToolResult]))]),
  }),
});
const AssistantRecord = z.object({
  type: z.literal('assistant'),
  message: z.object({ id: z.string(), content: z.array(AnswerBlock) }),
});
const RecordLine = z.discriminatedUnion('type', [
  UserRecord,
  AssistantRecord,
  z.object({ type: z.literal('system') }),
]);

type RecordLine = z.infer<typeof RecordLine>;

/**
 * A session log of Claude Code, format in the fixtures' README: one answer is spread over several
 * records of the same message id, with results of its first calls in between.
 */
export function readClaudeCodeRecording(name: string, text: string): Recording {
  const records = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => RecordLine.parse(JSON.parse(line)));
  const results = new Map(records.flatMap(resultsOf).map((result) => [result.tool_use_id, result]));
  const answers = new Map<string, RecordedBlock[]>();
  for (const record of records) {
    if (record.type !== 'assistant') continue;
    const { id, content } = record.message;
    answers.set(id, [...(answers.get(id) ?? []), ...content.map(toBlock)]);
  }
  const seen = new Set<string>();
  const parts = records.flatMap((record): RecordedItem[] => {
    if (record.type === 'user') return textsOf(record);
    if (record.type === 'system' || seen.has(record.message.id)) return [];
    seen.add(record.message.id);
    const blocks = answers.get(record.message.id) ?? [];
    const ownResults = blocks.flatMap((block) =>
      block.type === 'tool_use' ? (results.get(block.id) ?? []) : [],
    );
    return [{ type: 'turn', blocks, results: ownResults, end: 'complete' }];
  });
  return { name, items: toItems(parts) };
}

function textsOf({ message }: z.infer<typeof UserRecord>): RecordedItem[] {
  const { content } = message;
  const texts =
    typeof content === 'string'
      ? [content]
      : content.flatMap((block) => (block.type === 'text' ? [block.text] : []));
  return texts.length === 0 ? [] : [{ type: 'input', texts }];
}

function resultsOf(record: RecordLine): RecordedResult[] {
  if (record.type !== 'user' || typeof record.message.content === 'string') return [];
  return record.message.content.flatMap((block): RecordedResult[] => {
    if (block.type !== 'tool_result') return [];
    const { tool_use_id, content, is_error = false } = block;
    const texts = typeof content === 'string' ? [content] : content.map(({ text }) => text);
    return [{ tool_use_id, texts, is_error }];
  });
}

function toBlock(block: z.infer<typeof AnswerBlock>): RecordedBlock {
  if (block.type !== 'tool_use') return block;
  const { type, id, name, input } = block;
  return { type, id, name: toToolName(name), input };
}

/**
 * `Bash` is what the agent toolset calls `bash`. Tools that it has not (`Task`, `TaskOutput`) keep
 * their name and are the client's own.
 */
function toToolName(name: string): string {
  return HAND_TOOLS.find((tool) => tool === name.toLowerCase()) ?? name;
}
