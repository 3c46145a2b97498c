import { describe, expect, test } from 'vitest';
import { addToAnswer, emptyAnswer } from '../../activities/model/answer.ts';
import { toProgress } from '../../activities/model/progress.ts';
import { AgentDefinition } from '../../protocol/agent.ts';
import type { JsonObject } from '../../protocol/json-object.ts';
import { toSpeaker } from '../support/to-speaker.ts';

const AGENT = AgentDefinition.parse({});

/** Heartbeats look at the answer between any two events of the stream, from a timer. */
function look(events: readonly JsonObject[]) {
  const answer = emptyAnswer();
  return events.map((event) => {
    addToAnswer(answer, event);
    return toProgress(answer, toSpeaker(AGENT), 1, (index) => `id-${index}`);
  });
}

const start = (index: number, block: JsonObject) => ({
  type: 'content_block_start',
  index,
  content_block: block,
});

describe('the progress of an answer', () => {
  test('a block that opens without its text → nothing said yet, then the deltas', () => {
    const thinking = [
      start(0, { type: 'thinking' }),
      { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Hm' } },
      start(1, { type: 'text' }),
      { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Yes' } },
    ];
    expect(look(thinking).map(({ event_id, text }) => [event_id, text])).toEqual([
      ['id-0', ''],
      ['id-0', 'Hm'],
      ['id-1', ''],
      ['id-1', 'Yes'],
    ]);
  });

  test('a block that is opened out of order → refused where the stream is read', () => {
    expect(() => look([start(1, { type: 'text', text: '' })])).toThrow(/block 1 after 0/);
  });
});
