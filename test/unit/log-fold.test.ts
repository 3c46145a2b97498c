import { describe, expect, test } from 'vitest';
import { EventType, type HistoryEvent } from '../../log/history-event.ts';
import { comparePositions, parsePosition, runTag } from '../../log/position.ts';
import { project } from '../../log/project.ts';
import { toResource } from '../../log/resource.ts';
import { joinRuns, mergeEvents, type RunLog } from '../../log/run-log.ts';
import { type RunState, startRun } from '../../log/run-state.ts';
import { DEFAULT_AGENT } from '../../protocol/agent.ts';
import { DEFAULT_ENVIRONMENT } from '../../protocol/environment.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { buildHistory, type HistoryBuilder, RUN } from '../support/history-builder.ts';

// Pure: no server, no worker, no clock.

const OTHER_RUN = '00000000-0000-4000-8000-0000000000bb';
const USAGE = {
  input_tokens: 3,
  output_tokens: 2,
  cache_creation_input_tokens: 1,
  cache_read_input_tokens: 4,
};
const END = { type: 'span.model_request_end', model_usage: USAGE };
const HAND = {
  session_id: 's',
  chain_id: 'chain',
  name: 'main',
  generation: 1,
  provider: 'local',
  instance: 'i1',
};

/** A turn of one call, with a message that arrives while the model speaks. */
function addTurn(h: HistoryBuilder, turn: number): void {
  h.accepted(`u${turn}`, `message ${turn}`);
  h.status('running');
  const step = h.scheduled('respond', { step: turn });
  h.signaled(`meanwhile ${turn}`);
  h.attempted(step, 2, { message: 'busy', applicationFailureInfo: { type: 'Model.Overloaded' } });
  const ask = { type: 'agent.tool_use', id: `t${turn}`, name: 'bash', input: {} };
  h.completed(step, { events: [{ ...ask, evaluated_permission: 'ask' }, END] });
  h.status('idle', 'requires_action');
  h.accepted(`c${turn}`, {
    type: 'user.tool_confirmation',
    tool_use_id: `t${turn}`,
    result: 'allow',
  });
  const call = h.scheduled('execute', { hand: HAND, call: { id: `t${turn}` } });
  h.completed(call, { events: [{ type: 'agent.tool_result', tool_use_id: `t${turn}` }] });
  const answer = h.scheduled('respond', { step: turn });
  h.completed(answer, { events: [{ type: 'agent.message', content: [] }, END] });
  h.status('idle', 'end_turn');
}

function addNoise(h: HistoryBuilder): HistoryEvent[] {
  const noisy: HistoryEvent[] = [];
  for (const event of h.events) {
    noisy.push(event);
    for (const eventType of [
      EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
      EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    ]) {
      // Speculative: these ids belong to the events that are recorded next.
      const eventId = Number(event.eventId) + noisy.length;
      noisy.push({ eventId, eventType, eventTime: event.eventTime } as unknown as HistoryEvent);
    }
  }
  return noisy;
}

function foldIn(history: readonly HistoryEvent[], batchSize: number): RunLog {
  let state = startRun(0);
  const events: SessionEvent[] = [];
  for (let from = 0; from < history.length; from += batchSize) {
    // What is saved is plain JSON, or it could not be taken up elsewhere.
    const saved: RunState = JSON.parse(JSON.stringify(state));
    const projected = project(saved, history.slice(from, from + batchSize));
    state = projected.state;
    mergeEvents(events, projected.events);
  }
  return { state, events };
}

function session(turns: number): HistoryBuilder {
  const history = buildHistory();
  history.started({ initial_events: ['begin'], title: 'T', metadata: { a: 'b' } });
  for (let turn = 0; turn < turns; turn += 1) addTurn(history, turn);
  return history;
}

describe('the fold', () => {
  const history = session(4);
  const whole = foldIn(history.events, history.events.length);

  test.each([1, 2, 3, 7, 20])('in batches of %i → the same log and state', (batchSize) => {
    expect(foldIn(history.events, batchSize)).toEqual(whole);
  });

  test('batches that overlap → the same log', () => {
    const state = project(startRun(0), history.events.slice(0, 12)).state;
    const again = project(state, history.events.slice(4));
    expect(again.state).toEqual(whole.state);
  });

  test('speculative task events in between → the same log', () => {
    for (const batchSize of [1, 5, 1_000]) {
      expect(foldIn(addNoise(history), batchSize)).toEqual(whole);
    }
  });

  test('leaves the state that it is given alone', () => {
    const state = project(startRun(0), history.events.slice(0, 9)).state;
    const before = JSON.stringify(state);
    project(state, history.events.slice(9));
    expect(JSON.stringify(state)).toBe(before);
  });

  test('positions ascend, ids are unique, both say where they come from', () => {
    const positions = whole.events.map((event) => event.position);
    expect(positions).toEqual([...positions].sort());
    expect(new Set(positions).size).toBe(positions.length);
    expect(new Set(whole.events.map((event) => event.id)).size).toBe(positions.length);
    expect(parsePosition(positions[0] ?? '')).toEqual({
      run: 0,
      event: 1,
      item: 0,
      tag: runTag(RUN),
    });
  });

  test('fifty thousand history events → a state that is as small as after ten thousand', () => {
    const long = session(4_000).events;
    expect(long.length).toBeGreaterThan(50_000);
    const sizeAfter = (events: readonly HistoryEvent[]) =>
      JSON.stringify({ ...project(startRun(0), events).state, updates: [] }).length;
    // Ids of updates are all that is kept of what came before.
    expect(sizeAfter(long)).toBeLessThan(sizeAfter(long.slice(0, 10_000)) + 200);
  });
});

describe('processed_at', () => {
  const timeOf = (events: readonly SessionEvent[], id: string) =>
    events.find((event) => event.id === id)?.processed_at;

  test('is the start of the first model request that saw the event', () => {
    const history = buildHistory();
    history.started('first');
    history.scheduled('respond');
    history.accepted('u', 'second');
    const { events, state } = project(startRun(0), history.events);
    expect(timeOf(events, `sevt_${RUN}_1_0`)).toBe('1970-01-01T00:00:02.000Z');
    expect(timeOf(events, 'sevt_u_0')).toBe(null);
    expect(state.queued.map(({ id }) => id)).toEqual(['sevt_u_0']);
  });

  test('comes with the same id and position when a later batch knows it', () => {
    const history = buildHistory();
    history.started('first');
    const first = project(startRun(0), history.events);
    history.scheduled('respond');
    const second = project(first.state, history.events);
    const [queued] = first.events;
    expect(second.events).toMatchObject([
      { ...queued, processed_at: '1970-01-01T00:00:02.000Z' },
      { type: 'span.model_request_start' },
    ]);
  });

  test('of what one run leaves queued is the first step of a later one', () => {
    const runs = [0, 1, 2].map((index) => {
      const history = buildHistory();
      history.started(index === 0 ? 'first' : { continued: { run_index: index } });
      history.accepted(`u${index}`, 'more');
      if (index === 2) history.scheduled('respond');
      if (index === 2) history.scheduled('respond');
      return project(startRun(index), history.events);
    });
    const joined = joinRuns(runs);
    const sent = joined.events.filter((event) => event.type === 'user.message');
    expect(sent.map((event) => event.processed_at)).toEqual(
      Array(4).fill('1970-01-01T00:00:03.000Z'),
    );
    expect(joined.state.queued).toEqual([]);
    expect(joinRuns(runs.slice(0, 2)).state.queued.map(({ id }) => id)).toEqual([
      `sevt_${RUN}_1_0`,
      'sevt_u0_0',
      'sevt_u1_0',
    ]);
  });
});

describe('the resource', () => {
  const resourceOf = (build: (h: HistoryBuilder) => void) => {
    const history = buildHistory();
    build(history);
    return toResource('s', project(startRun(0), history.events).state);
  };
  const carried = {
    run_index: 1,
    created_at: '2026-01-01T00:00:00.000Z',
    agent: { id: 'a', version: 2, definition: DEFAULT_AGENT },
    environment: { id: null, version: null, definition: DEFAULT_ENVIRONMENT },
    status: 'idle',
    stop_reason: { type: 'end_turn' },
    usage: USAGE,
    hands: { main: { generation: 1, instance: HAND }, gone: { generation: 2, instance: null } },
  };
  const provisioned = (h: HistoryBuilder) => {
    h.started({});
    h.completed(h.scheduled('provision', { hand: HAND }), { hand: HAND });
  };
  const asked = { agent: { type: 'agent', id: 'a' } };

  test.each<[string, (h: HistoryBuilder) => void, object]>([
    [
      'just started',
      (h) => h.started({ title: 'T', metadata: { a: 'b' } }),
      {
        id: 's',
        status: 'idle',
        stop_reason: null,
        title: 'T',
        metadata: { a: 'b' },
        agent: { id: null, version: null, definition: DEFAULT_AGENT },
        environment: { id: null, version: null, definition: DEFAULT_ENVIRONMENT },
        pending_actions: [],
        hands: {},
        created_at: '1970-01-01T00:00:01.000Z',
      },
    ],
    ['running', (h) => h.status('running'), { status: 'running', stop_reason: null }],
    [
      'a turn later',
      (h) => {
        h.started({});
        addTurn(h, 0);
      },
      {
        status: 'idle',
        stop_reason: { type: 'end_turn' },
        usage: {
          input_tokens: 6,
          output_tokens: 4,
          cache_creation_input_tokens: 2,
          cache_read_input_tokens: 8,
        },
      },
    ],
    [
      'a call waits',
      (h) => {
        const call = { type: 'agent.custom_tool_use', id: 'c1', name: 'x', input: {} };
        h.completed(h.scheduled('respond'), { events: [call] });
        h.status('idle', 'requires_action');
      },
      { pending_actions: ['c1'], stop_reason: { type: 'requires_action', event_ids: ['c1'] } },
    ],
    [
      'ended while a call waited',
      (h) => {
        const call = { type: 'agent.custom_tool_use', id: 'c1', name: 'x', input: {} };
        h.completed(h.scheduled('respond'), { events: [call] });
        h.status('idle', 'requires_action');
        h.add({ eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED });
      },
      { status: 'terminated', pending_actions: [], stop_reason: null },
    ],
    [
      'agent by reference, not resolved',
      (h) => h.started(asked),
      { agent: null, environment: null },
    ],
    [
      'agent by reference, resolved',
      (h) => {
        h.started(asked);
        h.completed(h.scheduled('resolve', asked), { agent: carried.agent });
      },
      { agent: carried.agent, environment: carried.environment },
    ],
    [
      'continued',
      (h) => h.started({ continued: carried }),
      {
        agent: carried.agent,
        usage: USAGE,
        stop_reason: { type: 'end_turn' },
        hands: { main: HAND },
        created_at: carried.created_at,
      },
    ],
    ['a hand provisioned', provisioned, { hands: { main: HAND } }],
    [
      'a hand lost in a call',
      (h) => {
        provisioned(h);
        const call = h.scheduled('execute', { hand: HAND, call: { id: 't' } });
        h.completed(call, { events: [], lost: true });
      },
      { hands: {} },
    ],
    [
      'a hand released',
      (h) => {
        provisioned(h);
        h.completed(h.scheduled('release', { hand: HAND }));
      },
      { hands: {} },
    ],
    [
      'a hand whose release failed',
      (h) => {
        provisioned(h);
        h.failed(h.scheduled('release', { hand: HAND }), { message: 'no such host' });
      },
      { hands: {} },
    ],
    [
      'an earlier generation released',
      (h) => {
        provisioned(h);
        h.completed(h.scheduled('release', { hand: { ...HAND, generation: 0 } }));
      },
      { hands: { main: HAND } },
    ],
    [
      'renamed',
      (h) => {
        h.started({ title: 'old' });
        h.completed(h.scheduled('record'), { events: [{ type: 'session.updated', title: 'new' }] });
      },
      { title: 'new' },
    ],
  ])('%s', (_name, build, expected) => {
    const actual = Object.entries(resourceOf(build)).filter(([field]) => field in expected);
    expect(Object.fromEntries(actual)).toEqual(expected);
  });
});

describe('nothing that a history can hold makes the fold throw', () => {
  const calls = [null, 7, { type: 7 }, { type: 'agent.tool_use' }, { type: 'agent.tool_result' }];
  const hostile = [
    null,
    7,
    'x',
    [],
    {},
    { events: 7 },
    { events: [...calls, { type: 'span.model_request_end' }, { type: 'user.message' }] },
    { hand: null, call: null, lost: true, agent: 7, environment: [] },
    { hand: 7, call: { id: 7 } },
    { continued: {} },
    { continued: { calls: 7, hands: { a: null, b: 7 }, recent_updates: [null, 7], run_ids: 7 } },
    { continued: [] },
  ];
  test.each(hostile.map((value) => [JSON.stringify(value), value]))('%s', (_name, value) => {
    const history = buildHistory();
    history.started(value);
    history.accepted('u', value);
    history.admitted('v', value);
    history.signaled(value);
    for (const name of ['respond', 'record', 'resolve', 'provision', 'execute', 'release', 'x']) {
      history.completed(history.scheduled(name, value), value);
      history.failed(history.scheduled(name, value), {});
      history.canceled(history.scheduled(name, value));
    }
    history.completed(999, value);
    history.status(String(value));
    for (const eventType of [0, 999, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED]) {
      history.add({ eventType });
    }
    expect(() => foldIn(history.events, 3)).not.toThrow();
  });
});

test('an update id that an earlier batch saw is dropped', () => {
  const history = buildHistory();
  history.started({});
  history.accepted('u', 'a');
  const { state } = project(startRun(0), history.events);
  history.accepted('u', 'a');
  history.accepted('v', 'b');
  const { events } = project(state, history.events);
  expect(events.map((event) => event.id)).toEqual(['sevt_v_0']);
});

describe('a reset', () => {
  test('keeps positions before it and marks those after it with the new run', () => {
    const history = buildHistory();
    history.started('first');
    history.reset(OTHER_RUN);
    history.accepted('u', 'second');
    const { events } = project(startRun(0), history.events);
    expect(events.map((event) => parsePosition(event.position).tag)).toEqual([
      runTag(RUN),
      runTag(OTHER_RUN),
    ]);
    const [first = { position: '' }, second = { position: '' }] = events;
    expect(comparePositions(first.position, second.position)).toBeLessThan(0);
  });

  test('a workflow task that failed for another reason changes nothing', () => {
    const history = buildHistory();
    history.started('first');
    history.add({
      eventType: EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
      workflowTaskFailedEventAttributes: { newRunId: OTHER_RUN },
    });
    expect(project(startRun(0), history.events).state.identities).toHaveLength(1);
  });
});

test('an answer that a reset put back counts when it is accepted again', () => {
  const history = buildHistory();
  history.started({});
  const use = { type: 'agent.tool_use', id: 'toolu_1', name: 'bash', input: {} };
  const events = [{ ...use, evaluated_permission: 'ask' }];
  history.completed(history.scheduled('respond'), { events });
  history.admitted('u', {
    type: 'user.tool_confirmation',
    tool_use_id: 'toolu_1',
    result: 'allow',
  });
  const put = project(startRun(0), history.events);
  expect(put.events.at(-1)?.type).toBe('user.tool_confirmation');
  expect(toResource('s', put.state).pending_actions).toEqual(['toolu_1']);
  history.acceptedWithoutRequest('u');
  const taken = project(put.state, history.events);
  expect(taken.events).toEqual([]);
  expect(toResource('s', taken.state).pending_actions).toEqual([]);
});
