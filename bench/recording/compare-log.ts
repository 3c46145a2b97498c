import type { SessionEvent } from '../../protocol/session-event.ts';
import {
  callsOf,
  type RecordedResult,
  type RecordedTurn,
  type Recording,
  turnsOf,
} from './recording.ts';

/** What was said and done, one entry each, in words that compare by equality. */
export interface Entry {
  readonly kind: 'user' | 'text' | 'thinking' | 'call' | 'result';
  readonly said: string;
}

export interface Difference {
  readonly index: number;
  readonly recorded: Entry | undefined;
  readonly logged: Entry | undefined;
}

/**
 * Where the log of a session says something else than the recording. Results of the calls of one
 * answer are compared in the order of the calls: side by side, they end in any. Calls of a turn
 * that was stopped never ran: in the log an error closes each, in words of its own.
 */
export function compareLog(recording: Recording, events: readonly SessionEvent[]): Difference[] {
  const recorded = recordedEntries(recording);
  const logged = loggedEntries(events, stoppedCalls(recording));
  const length = Math.max(recorded.length, logged.length);
  return Array.from({ length }, (_, index) => ({
    index,
    recorded: recorded[index],
    logged: logged[index],
  })).filter(
    ({ recorded, logged }) => recorded?.kind !== logged?.kind || recorded?.said !== logged?.said,
  );
}

function stoppedCalls(recording: Recording): ReadonlySet<string> {
  return new Set(
    turnsOf(recording)
      .filter((turn) => turn.end !== 'complete')
      .flatMap((turn) => callsOf(turn).map(({ id }) => id)),
  );
}

export function recordedEntries({ items }: Recording): Entry[] {
  return items.flatMap((item) => {
    if (item.type === 'input') {
      return item.texts.map((text): Entry => ({ kind: 'user', said: text }));
    }
    const results =
      item.end === 'complete'
        ? item.results.map(resultEntry)
        : callsOf(item).map(({ id }) => closingEntry(id));
    return [...item.blocks.map(blockEntry), ...results];
  });
}

function blockEntry(block: RecordedTurn['blocks'][number]): Entry {
  switch (block.type) {
    case 'text':
      return { kind: 'text', said: block.text };
    case 'thinking':
      return { kind: 'thinking', said: JSON.stringify([block.thinking, block.signature]) };
    case 'tool_use':
      return callEntry(block.id, block.name, block.input);
  }
}

function callEntry(id: string, name: string, input: unknown): Entry {
  return { kind: 'call', said: JSON.stringify([id, name, input]) };
}

function resultEntry({ tool_use_id, texts, is_error }: RecordedResult): Entry {
  return { kind: 'result', said: JSON.stringify([tool_use_id, texts, is_error]) };
}

function closingEntry(id: string): Entry {
  return { kind: 'result', said: `stopped ${id}` };
}

function loggedEntries(events: readonly SessionEvent[], stopped: ReadonlySet<string>): Entry[] {
  const callIndexes = new Map<string, number>();
  for (const event of events) {
    if (event.type === 'agent.tool_use' || event.type === 'agent.custom_tool_use') {
      callIndexes.set(event.id, callIndexes.size);
    }
  }
  const entries: Entry[] = [];
  let results: RecordedResult[] = [];
  const placeResults = () => {
    const inCallOrder = results.sort(
      (a, b) => (callIndexes.get(a.tool_use_id) ?? -1) - (callIndexes.get(b.tool_use_id) ?? -1),
    );
    entries.push(...inCallOrder.map((result) => loggedResult(result, stopped)));
    results = [];
  };
  for (const event of events) {
    const result = toResult(event);
    const said = entriesOf(event);
    if (result !== undefined) results.push(result);
    else if (said.length > 0) placeResults();
    entries.push(...said);
  }
  placeResults();
  return entries;
}

function loggedResult(result: RecordedResult, stopped: ReadonlySet<string>): Entry {
  const isClosing = result.is_error && stopped.has(result.tool_use_id);
  return isClosing ? closingEntry(result.tool_use_id) : resultEntry(result);
}

function toResult(event: SessionEvent): RecordedResult | undefined {
  if (event.type !== 'agent.tool_result' && event.type !== 'user.custom_tool_result') {
    return undefined;
  }
  const tool_use_id =
    event.type === 'agent.tool_result' ? event.tool_use_id : event.custom_tool_use_id;
  return {
    tool_use_id,
    texts: (event.content ?? []).map(textOf),
    is_error: event.is_error === true,
  };
}

function textOf(block: { readonly type: string }): string {
  return 'text' in block && typeof block.text === 'string' ? block.text : JSON.stringify(block);
}

function entriesOf(event: SessionEvent): Entry[] {
  switch (event.type) {
    case 'user.message':
      return event.content.map((block) => ({ kind: 'user', said: textOf(block) }));
    case 'agent.message':
      return event.content.map((block) => ({ kind: 'text', said: block.text }));
    case 'agent.thinking':
      return [{ kind: 'thinking', said: thinkingOf(event.block) }];
    case 'agent.tool_use':
    case 'agent.custom_tool_use':
      return [callEntry(event.id, event.name, event.input)];
    default:
      return [];
  }
}

function thinkingOf(block: Extract<SessionEvent, { type: 'agent.thinking' }>['block']): string {
  return block.type === 'thinking'
    ? JSON.stringify([block.thinking, block.signature])
    : JSON.stringify(block);
}
