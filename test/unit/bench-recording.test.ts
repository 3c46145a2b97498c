import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readClaudeCodeRecording } from '../../bench/recording/claude-code-recording.ts';
import { compareLog, recordedEntries } from '../../bench/recording/compare-log.ts';
import { readPiRecording } from '../../bench/recording/pi-recording.ts';
import { createTurnFinder } from '../../bench/recording/place.ts';
import { createRecordedPlayer } from '../../bench/recording/recorded-player.ts';
import {
  callsOf,
  type RecordedItem,
  type Recording,
  turnsOf,
} from '../../bench/recording/recording.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import type { RehearsalRequest } from '../../rehearsal/player.ts';

const FIXTURES = process.env['DROVER_FIXTURES'];

const MADE_UP: Recording = {
  name: 'made-up',
  items: [
    { type: 'input', texts: ['list the files'] },
    {
      type: 'turn',
      blocks: [
        { type: 'thinking', thinking: 'two at once', signature: 'c2ln' },
        { type: 'tool_use', id: 'a', name: 'bash', input: { command: 'ls' } },
        { type: 'tool_use', id: 'b', name: 'read', input: { file_path: 'x' } },
      ],
      results: [
        { tool_use_id: 'a', texts: ['x'], is_error: false },
        { tool_use_id: 'b', texts: ['no'], is_error: true },
      ],
      end: 'complete',
    },
    {
      type: 'turn',
      blocks: [
        { type: 'text', text: 'Now ' },
        { type: 'tool_use', id: 'c', name: 'bash', input: {} },
      ],
      results: [],
      end: 'interrupted',
    },
  ],
};

/** Events of a log, in which only what is compared matters. */
function log(...events: readonly object[]): SessionEvent[] {
  return events.map((event, index) => ({
    id: `event ${index}`,
    position: String(index),
    processed_at: null,
    ...event,
  })) as unknown as SessionEvent[];
}

const user = { type: 'user.message', content: [{ type: 'text', text: 'list the files' }] };
const thinking = {
  type: 'agent.thinking',
  block: { type: 'thinking', thinking: 'two at once', signature: 'c2ln' },
};
const callA = { type: 'agent.tool_use', id: 'a', name: 'bash', input: { command: 'ls' } };
const callB = { type: 'agent.tool_use', id: 'b', name: 'read', input: { file_path: 'x' } };
const callC = { type: 'agent.tool_use', id: 'c', name: 'bash', input: {} };
const result = (id: string, text: string, is_error = false) => ({
  type: 'agent.tool_result',
  tool_use_id: id,
  content: [{ type: 'text', text }],
  is_error,
});
const span = { type: 'span.model_request_start' };
const words = { type: 'agent.message', content: [{ type: 'text', text: 'Now ' }] };
const closed = result('c', 'Interrupted by the user before this call ran.', true);
const answer = [user, span, thinking, callA, callB];
const rest = [span, words, callC, { type: 'user.interrupt' }, closed];

describe('compareLog', () => {
  test.each([
    ['results in the order of the calls', [result('a', 'x'), result('b', 'no', true)], 0],
    ['results in the order of their ends', [result('b', 'no', true), result('a', 'x')], 0],
    ['another text', [result('a', 'y'), result('b', 'no', true)], 1],
    ['an error that was none', [result('a', 'x', true), result('b', 'no', true)], 1],
  ])('%s → differences', (_name, results, count) => {
    expect(compareLog(MADE_UP, log(...answer, ...results, ...rest))).toHaveLength(count);
  });

  test('a second result of a call → everything after it is out of place', () => {
    const results = [result('a', 'x'), result('b', 'no', true), result('a', 'x')];
    const [first] = compareLog(MADE_UP, log(...answer, ...results, ...rest));
    expect(first?.logged?.said).toBe(JSON.stringify(['a', ['x'], false]));
  });

  test('a call of a stopped turn that was not closed, or that ran → a difference', () => {
    const results = [result('a', 'x'), result('b', 'no', true)];
    const open = log(...answer, ...results, ...rest.slice(0, -1));
    expect(compareLog(MADE_UP, open)).toHaveLength(1);
    const ran = log(...answer, ...results, ...rest.slice(0, -1), result('c', 'it ran'));
    expect(compareLog(MADE_UP, ran)).toHaveLength(1);
  });

  test('an empty log → every entry of the record', () => {
    expect(compareLog(MADE_UP, [])).toHaveLength(recordedEntries(MADE_UP).length);
  });
});

describe('createTurnFinder', () => {
  const find = createTurnFinder(MADE_UP);
  const asked = { role: 'user', content: [{ type: 'text', text: 'list the files' }] };
  const called = { role: 'assistant', content: [{ type: 'tool_use' }, { type: 'tool_use' }] };
  const resulted = { role: 'user', content: [{ type: 'tool_result' }, { type: 'tool_result' }] };
  const note = { type: 'text', text: '[a note of the harness]' };

  test.each([
    ['the first input', [asked], 0],
    ['a note beside the input', [{ ...asked, content: [note, ...asked.content] }], 0],
    ['the results', [asked, called, resulted], 1],
    [
      'half of the results',
      [asked, called, { role: 'user', content: [{ type: 'tool_result' }] }],
      undefined,
    ],
    ['nothing of the record', [{ role: 'user', content: 'hello' }], undefined],
  ])('%s → turn', (_name, messages, turn) => {
    expect(find({ messages })).toBe(turn);
  });

  test('two turns at one place are refused', () => {
    const turn: RecordedItem = { type: 'turn', blocks: [], results: [], end: 'complete' };
    const items = [...MADE_UP.items.slice(0, 1), turn, turn];
    expect(() => createTurnFinder({ name: 'twice', items })).toThrow('two turns');
  });
});

test('a conversation that the recording has not is refused in words', () => {
  const player = createRecordedPlayer(MADE_UP, () => {});
  const request = { messages: [{ role: 'user', content: 'hello' }] } as unknown as RehearsalRequest;
  expect(() => player(request, { index: 0 })).toThrow('made-up has no turn');
});

describe.skipIf(FIXTURES === undefined)('recordings (DROVER_FIXTURES)', () => {
  const file = (path: string) => readFileSync(join(FIXTURES ?? '', 'trajectories', path), 'utf8');

  test('pi: all turns, calls, results and stops', () => {
    const recording = readPiRecording('pi', file('pi/large-session.jsonl'));
    const turns = turnsOf(recording);
    const ends = Object.groupBy(turns, ({ end }) => end);
    expect(ends.complete).toHaveLength(430);
    expect(ends.interrupted).toHaveLength(21);
    expect(ends.broken).toHaveLength(1);
    expect(turns.flatMap(callsOf)).toHaveLength(390);
    expect(turns.flatMap(({ results }) => results)).toHaveLength(372);
    const inputs = recording.items.flatMap((item) => (item.type === 'input' ? item.texts : []));
    expect(inputs).toHaveLength(88);
    expectAnswered(recording);
    expect(() => createTurnFinder(recording)).not.toThrow();
  });

  test('Claude Code: records of one message joined, side by side calls kept', () => {
    const recording = readClaudeCodeRecording(
      'claude-code',
      file('claude-code/258c7280-ae70-4798-800f-63464d01a85d.jsonl'),
    );
    const turns = turnsOf(recording);
    expect(turns.filter(({ end }) => end === 'complete')).toHaveLength(150);
    expect(turns.flatMap(callsOf)).toHaveLength(179);
    expect(Math.max(...turns.map((turn) => callsOf(turn).length))).toBe(8);
    const errors = turns.flatMap(({ results }) => results.filter(({ is_error }) => is_error));
    expect(errors).toHaveLength(7);
    expectAnswered(recording);
    expect(() => createTurnFinder(recording)).not.toThrow();
  });

  function expectAnswered(recording: Recording): void {
    for (const turn of turnsOf(recording)) {
      const answered = turn.results.map(({ tool_use_id }) => tool_use_id);
      const called = callsOf(turn).map(({ id }) => id);
      expect(answered).toEqual(turn.end === 'complete' ? called : []);
    }
  }
});
