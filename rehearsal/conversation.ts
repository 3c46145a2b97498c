import type { RehearsalRequest } from './player.ts';

/** A tool use and what came back. */
export interface Exchange {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly output: string;
  readonly isError: boolean;
}

/** What a script needs to know of a conversation to go on with it. */
export interface Conversation {
  /** The last words of the user. */
  readonly task: string;
  /** Tool uses since then that have their results, in order. */
  readonly exchanges: readonly Exchange[];
}

type Block = { readonly type: string } & Readonly<Record<string, unknown>>;

export function readConversation(request: RehearsalRequest): Conversation {
  const blocks = request.messages.flatMap(({ role, content }) =>
    toBlocks(content).map((block) => ({ role: String(role), block })),
  );
  const start = blocks.findLastIndex(({ role, block }) => role === 'user' && block.type === 'text');
  const since = blocks.slice(start + 1).map(({ block }) => block);
  return { task: textOf(blocks[start]?.block), exchanges: exchangesIn(since) };
}

function exchangesIn(blocks: readonly Block[]): Exchange[] {
  const results = new Map(
    blocks.flatMap((block) =>
      block.type === 'tool_result' ? [[block['tool_use_id'], block] as const] : [],
    ),
  );
  return blocks.flatMap((block): Exchange[] => {
    const result = block.type === 'tool_use' ? results.get(block['id']) : undefined;
    if (result === undefined) return [];
    return [
      {
        name: String(block['name']),
        input: Object(block['input']),
        output: toBlocks(result['content']).map(textOf).join('\n'),
        isError: result['is_error'] === true,
      },
    ];
  });
}

function toBlocks(content: unknown): Block[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return Array.isArray(content) ? (content as Block[]) : [];
}

function textOf(block: Block | undefined): string {
  return typeof block?.['text'] === 'string' ? block['text'] : '';
}
