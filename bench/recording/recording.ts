/** A recorded conversation, whatever the tool that recorded it, as a session would have it. */
export interface Recording {
  readonly name: string;
  /** Inputs and turns in the order of the record. Starts with an input. */
  readonly items: readonly RecordedItem[];
}

export type RecordedItem = RecordedInput | RecordedTurn;

/** What the user said before the model spoke again: one text per message. */
export interface RecordedInput {
  readonly type: 'input';
  readonly texts: readonly string[];
}

/** One answer of the model, and the results of its calls. */
export interface RecordedTurn {
  readonly type: 'turn';
  readonly blocks: readonly RecordedBlock[];
  /** In the order of the calls; of an interrupted turn none ran. */
  readonly results: readonly RecordedResult[];
  /**
   * `complete`: the model finished. `interrupted`: the user stopped it after these blocks.
   * `broken`: the connection broke after these blocks, and the user went on from there.
   * `unspoken`: the user stopped it before a word, and the record holds no turn for it.
   */
  readonly end: 'complete' | 'interrupted' | 'broken' | 'unspoken';
}

export type RecordedBlock =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'thinking'; readonly thinking: string; readonly signature: string }
  | RecordedCall;

export interface RecordedCall {
  readonly type: 'tool_use';
  readonly id: string;
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

export interface RecordedResult {
  readonly tool_use_id: string;
  readonly texts: readonly string[];
  readonly is_error: boolean;
}

export function turnsOf(recording: Recording): readonly RecordedTurn[] {
  return recording.items.filter((item) => item.type === 'turn');
}

export function callsOf(turn: RecordedTurn): readonly RecordedCall[] {
  return turn.blocks.filter((block) => block.type === 'tool_use');
}

const UNSPOKEN: RecordedTurn = { type: 'turn', blocks: [], results: [], end: 'unspoken' };

/**
 * Joins inputs that follow each other, and puts the turn that was stopped before a word between
 * results and an input: a session answers results by itself, so somebody must have stopped it.
 */
export function toItems(parts: readonly RecordedItem[]): RecordedItem[] {
  const items: RecordedItem[] = [];
  for (const part of parts) {
    const last = items.at(-1);
    if (part.type === 'input' && last?.type === 'input') {
      items[items.length - 1] = { type: 'input', texts: [...last.texts, ...part.texts] };
      continue;
    }
    if (part.type === 'input' && last?.type === 'turn' && last.results.length > 0) {
      items.push(UNSPOKEN);
    }
    items.push(part);
  }
  return items;
}
