import type Anthropic from '@anthropic-ai/sdk';
import { assertNever } from '../../../protocol/assert-never.ts';
import type { ContentBlock } from '../../../protocol/session-event.ts';
import { isBlank, sendableBlocks } from './sendable-blocks.ts';
import type { Seen, SessionStep, ToolResult } from './session-step.ts';

export type BlockParam = Anthropic.Beta.BetaContentBlockParam;

export interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: BlockParam[];
}

type ResultParam = Anthropic.Beta.BetaToolResultBlockParam;

/** The conversation of the steps: what each saw, its answer, the results of its tools. */
export function toMessages(steps: readonly SessionStep[]): Message[] {
  const parts = steps.flatMap((step): Message[] => {
    const answer = sendableBlocks(step);
    return [
      { role: 'user', content: step.seen.flatMap(seenBlocks) },
      { role: 'assistant', content: answer.map(toParam) },
      { role: 'user', content: answer.flatMap((block) => resultBlocks(block, step)) },
    ];
  });
  return merge(parts);
}

/** The API joins neighbours of one role itself; joined here, the cache marks know the last block. */
function merge(parts: readonly Message[]): Message[] {
  const messages: Message[] = [];
  for (const { role, content } of parts) {
    if (content.length === 0) continue;
    const last = messages.at(-1);
    if (last?.role === role) last.content.push(...content);
    else messages.push({ role, content: [...content] });
  }
  return messages;
}

function seenBlocks(seen: Seen): BlockParam[] {
  switch (seen.type) {
    case 'message':
      return seen.content.map(toUserBlock);
    case 'note':
      return [{ type: 'text', text: seen.text }];
    case 'interrupt':
      return [];
    default:
      return assertNever(seen);
  }
}

/** The API rejects blank text; a person who sends it still deserves an answer. */
function toUserBlock(block: MessageBlock): BlockParam {
  if (block.type === 'text' && isBlank(block.text)) return { type: 'text', text: '(blank)' };
  return toParam(block);
}

type MessageBlock = Extract<Seen, { type: 'message' }>['content'][number];
type ResultBlock = NonNullable<ToolResult['content']>[number];

/** Blocks of answers and of users are what the API takes, but for readonly and optional marks. */
function toParam(block: ContentBlock | MessageBlock | ResultBlock): BlockParam {
  return block as BlockParam;
}

function resultBlocks(block: ContentBlock, step: SessionStep): BlockParam[] {
  if (block.type !== 'tool_use') return [];
  const result = step.results.get(block.id);
  // The workflow makes no request before every call has its result, and a call whose activity
  // failed is given one by the log. Without this a fault there would lose the session: the API
  // accepts no call without a result.
  if (result === undefined) {
    return [toolResult(block.id, [{ type: 'text', text: 'no result was recorded' }], true)];
  }
  return [toolResult(block.id, result.content ?? [], result.is_error === true)];
}

function toolResult(
  toolUseId: string,
  content: readonly ResultBlock[],
  isError: boolean,
): ResultParam {
  const sendable = content.filter((block) => block.type !== 'text' || !isBlank(block.text));
  return {
    type: 'tool_result',
    tool_use_id: toolUseId,
    ...(sendable.length === 0 ? {} : { content: sendable as NonNullable<ResultParam['content']> }),
    ...(isError ? { is_error: true } : {}),
  };
}
