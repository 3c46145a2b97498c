import { describe, expect, test } from 'vitest';
import type { Glimpse } from '../../client/glimpse.ts';
import {
  createPreviews,
  type PreviewEvent,
  toActivityEvents,
  toPreviewEvents,
} from '../../client/previews.ts';
import type { RespondProgress } from '../../protocol/model-step.ts';

function progress(text: string, over: Partial<RespondProgress> = {}): RespondProgress {
  return { attempt: 1, event_id: 'e1', event_type: 'agent.message', offset: 0, text, ...over };
}

function start(id = 'e1', type: 'agent.message' | 'agent.thinking' = 'agent.message') {
  return { type: 'event_start', event: { id, type } };
}

function delta(text: string, id = 'e1') {
  const content = { type: 'text', text };
  return { type: 'event_delta', event_id: id, delta: { type: 'content_delta', index: 0, content } };
}

describe('between two looks', () => {
  test.each<[string, RespondProgress | undefined, RespondProgress | undefined, unknown[]]>([
    ['nothing → nothing', undefined, undefined, []],
    ['before the first content → nothing', undefined, progress('', { event_id: null }), []],
    ['first text → start and delta', undefined, progress('ab'), [start(), delta('ab')]],
    ['more text → only what is new', progress('ab'), progress('abcd'), [delta('cd')]],
    ['the same text → nothing', progress('ab'), progress('ab'), []],
    [
      'a tail that moved on → what follows',
      progress('abcd'),
      progress('cdef', { offset: 2 }),
      [delta('ef')],
    ],
    [
      'a gap between the looks → an ellipsis',
      progress('ab'),
      progress('xy', { offset: 9 }),
      [delta('…xy')],
    ],
    [
      'another attempt → it starts anew',
      progress('abcd'),
      progress('uvwxyz', { attempt: 2 }),
      [start(), delta('uvwxyz')],
    ],
    [
      'the next event → it starts',
      progress('abcd'),
      progress('xy', { event_id: 'e2' }),
      [start('e2'), delta('xy', 'e2')],
    ],
    [
      'thinking → start only',
      undefined,
      progress('secret', { event_type: 'agent.thinking' }),
      [start('e1', 'agent.thinking')],
    ],
    [
      'more thinking → nothing',
      progress('se', { event_type: 'agent.thinking' }),
      progress('secret', { event_type: 'agent.thinking' }),
      [],
    ],
    ['the step is over → nothing', progress('ab'), undefined, []],
  ])('%s', (_name, previous, current, expected) => {
    expect(toPreviewEvents(previous, current)).toEqual(expected);
  });
});

describe('what else goes on, between two looks', () => {
  const look = (over: Partial<Glimpse> = {}): Glimpse => ({
    open: true,
    progress: undefined,
    calls: [],
    waiting: null,
    ...over,
  });
  const call = (output_bytes: number) => ({ call_id: 't1', tail: 'x', output_bytes });
  const said = (output_bytes: number) => ({
    type: 'tool_progress',
    tool_use_id: 't1',
    tail: 'x',
    output_bytes,
  });

  test.each<[string, Glimpse | undefined, Glimpse, unknown[]]>([
    ['nothing → nothing', undefined, look(), []],
    ['silence → nothing', undefined, look({ calls: [call(0)] }), []],
    ['output → told', undefined, look({ calls: [call(5)] }), [said(5)]],
    ['no more of it → nothing', look({ calls: [call(5)] }), look({ calls: [call(5)] }), []],
    ['more → told', look({ calls: [call(5)] }), look({ calls: [call(9)] }), [said(9)]],
    [
      'it waits → told',
      look(),
      look({ waiting: 'for a node' }),
      [{ type: 'session_waiting', reason: 'for a node' }],
    ],
    ['for the same → nothing', look({ waiting: 'a' }), look({ waiting: 'a' }), []],
    ['no more → told', look({ waiting: 'a' }), look(), [{ type: 'session_waiting', reason: null }]],
  ])('%s', (_name, previous, current, expected) => {
    expect(toActivityEvents(previous, current)).toEqual(expected);
  });
});

describe('watchers', () => {
  test('of one session share one poll, and a failed look is skipped', async () => {
    const looks = [progress('a'), new Error('away'), progress('abc')];
    let count = 0;
    const watch = createPreviews(async () => {
      const look = looks[count];
      count += 1;
      if (look instanceof Error) throw look;
      return { open: look !== undefined, progress: look, calls: [], waiting: null };
    });
    const collect = async () => {
      const events: PreviewEvent[] = [];
      for await (const event of watch('session')) events.push(event);
      return events;
    };
    const [first, second] = await Promise.all([collect(), collect()]);
    expect(first).toEqual([start(), delta('a'), delta('bc')]);
    expect(second).toEqual(first);
    expect(count).toBe(4);
  });
});
