import { callsOf, type RecordedBlock, type Recording } from './recording.ts';

/** As much of a model request as its place in a recording needs. */
export interface Conversation {
  readonly messages: Iterable<{
    readonly role: string;
    readonly content?: string | Iterable<{ readonly type: string }>;
  }>;
}

/** Index of the turn that answers a conversation; undefined when the recording has none for it. */
export type FindTurn = (conversation: Conversation) => number | undefined;

interface Counts {
  inputs: number;
  results: number;
  blocks: number;
}

/**
 * Finds turns by what was said before them: user messages of the record (a harness may put notes of
 * its own between them), results, and blocks of answers. Needs no memory, so it may be asked twice.
 *
 * @throws Error when two turns of the recording cannot be told apart
 */
export function createTurnFinder(recording: Recording): FindTurn {
  const texts = recording.items.flatMap((item) => (item.type === 'input' ? item.texts : []));
  const places = new Map<string, number>();
  const counts: Counts = { inputs: 0, results: 0, blocks: 0 };
  for (const item of recording.items) {
    if (item.type === 'input') {
      counts.inputs += item.texts.length;
      continue;
    }
    const key = keyOf(counts);
    if (places.has(key)) throw new Error(`${recording.name}: two turns stand at place ${key}`);
    places.set(key, places.size);
    counts.blocks += item.blocks.filter(isSentBack).length;
    // Calls of a turn that was stopped are closed by the session.
    counts.results += callsOf(item).length;
  }
  return (conversation) => places.get(keyOf(countOf(conversation, texts)));
}

function keyOf({ inputs, results, blocks }: Counts): string {
  return `${inputs} inputs, ${results} results, ${blocks} blocks`;
}

function countOf({ messages }: Conversation, texts: readonly string[]): Counts {
  const counts: Counts = { inputs: 0, results: 0, blocks: 0 };
  for (const { role, content = [] } of messages) {
    const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
    for (const block of blocks) count(counts, role, block, texts);
  }
  return counts;
}

function count(
  counts: Counts,
  role: string,
  block: { readonly type: string },
  texts: readonly string[],
): void {
  if (role === 'assistant') counts.blocks += isSentBack(block) ? 1 : 0;
  else if (block.type === 'tool_result') counts.results += 1;
  else if (textOf(block) === texts[counts.inputs]) counts.inputs += 1;
}

/** The API takes no blank text back, and thinking only in some places. */
function isSentBack(block: RecordedBlock | { readonly type: string }): boolean {
  if (block.type === 'tool_use') return true;
  return block.type === 'text' && (textOf(block) ?? '').trim() !== '';
}

function textOf(block: { readonly type: string }): string | undefined {
  return 'text' in block && typeof block.text === 'string' ? block.text : undefined;
}
