import { createHash } from 'node:crypto';
import type { MessageTurn, RehearsalBlock, RehearsalRequest } from './player.ts';

const CHARACTERS_PER_TOKEN = 4;

/** The whole message of a turn: ids and usage are made up, and say whose they are. */
export function composeMessage(turn: MessageTurn, request: RehearsalRequest) {
  const digest = conversationDigest(request);
  const content = turn.content.map((block, index) => withId(block, `${digest}_${index}`));
  const callsTool = content.some(({ type }) => type === 'tool_use');
  return {
    id: `msg_rehearsal_${digest}`,
    type: 'message',
    role: 'assistant',
    model: `rehearsal of ${request.model}`,
    stop_reason: turn.stop_reason ?? (callsTool ? 'tool_use' : 'end_turn'),
    stop_sequence: null,
    usage: {
      input_tokens: tokensIn([request.system, request.tools, request.messages]),
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: tokensIn(content),
    },
    ...turn.message,
    content,
  };
}

/** The same conversation gives the same ids, another one gives others. */
function conversationDigest(request: RehearsalRequest): string {
  const messages = JSON.stringify(request.messages, (key, value: unknown) =>
    key === 'cache_control' ? undefined : value,
  );
  return createHash('sha256').update(messages).digest('hex').slice(0, 20);
}

function withId(block: RehearsalBlock, id: string): RehearsalBlock {
  if (block.type !== 'tool_use' || block.id !== undefined) return block;
  return { type: 'tool_use', id: `toolu_rehearsal_${id}`, name: block.name, input: block.input };
}

function tokensIn(value: unknown): number {
  return Math.ceil(JSON.stringify(value).length / CHARACTERS_PER_TOKEN);
}
