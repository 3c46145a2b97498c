import { describe, expect, test } from 'vitest';
import { EventType, type Failure, TimeoutType } from '../../log/history-event.ts';
import { project } from '../../log/project.ts';
import { startRun } from '../../log/run-state.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { historyEventId } from '../../protocol/ids.ts';
import { buildHistory, type HistoryBuilder, RUN } from '../support/history-builder.ts';

// Pure: no server, no worker, no clock.

const OTHER_RUN = '00000000-0000-4000-8000-0000000000bb';

function contributions(build: (history: HistoryBuilder) => void) {
  const history = buildHistory();
  build(history);
  return project(startRun(0), history.events).events.map(
    ({ position: _position, processed_at: _time, ...event }) => event,
  );
}

const message = (text: string) => ({
  type: 'user.message',
  content: [{ type: 'text', text }],
});
const failure = (type: string, text = 'broke'): Failure => ({
  message: text,
  applicationFailureInfo: { type },
});
const activityFailure = (cause: Failure): Failure => ({
  message: 'Activity task failed',
  activityFailureInfo: { activityType: { name: 'respond' } },
  cause,
});
const timeout = (timeoutType: keyof typeof TimeoutType): Failure => ({
  message: 'activity timeout',
  timeoutFailureInfo: { timeoutType: TimeoutType[timeoutType] },
});
const error = (type: string, text: unknown, status: string) => ({
  type: 'session.error',
  error: { type, message: text, retry_status: { type: status } },
});
const toolUse = (id: string, permission = 'allow') => ({
  type: 'agent.tool_use',
  id,
  name: 'bash',
  input: { command: 'ls' },
  evaluated_permission: permission,
});
const result = (id: string) => ({ type: 'agent.tool_result', tool_use_id: id });

type Row = [name: string, build: (history: HistoryBuilder) => void, expected: unknown[]];

const undecodable = {
  payloads: [
    {
      metadata: { encoding: new TextEncoder().encode('json/plain') },
      data: new TextEncoder().encode('{nope'),
    },
  ],
};

describe('the start', () => {
  test.each<Row>([
    ['a string → one message', (h) => h.started('hi'), [message('hi')]],
    ['no input → nothing', (h) => h.started(undefined), []],
    [
      'initial events → in order, named by the run',
      (h) => h.started({ initial_events: ['a', 'b'] }),
      [
        { ...message('a'), id: historyEventId(RUN, 1, 0) },
        { ...message('b'), id: historyEventId(RUN, 1, 1) },
      ],
    ],
    [
      'a run that continues → nothing',
      (h) => h.started({ initial_events: ['a'], continued: { run_index: 1 } }),
      [],
    ],
    [
      'an unknown field → an error that names it',
      (h) => h.started({ model: 'x' }),
      [error('invalid_event_error', expect.stringMatching(/^input.*model/), 'terminal')],
    ],
    [
      'an undecodable input → an error',
      (h) => h.started(undefined, { input: undecodable }),
      [error('invalid_event_error', expect.stringContaining('undecodable'), 'terminal')],
    ],
  ])('%s', (_name, build, expected) => {
    expect(contributions(build)).toMatchObject(expected);
    expect(contributions(build)).toHaveLength(expected.length);
  });
});

describe('what users send', () => {
  test.each<Row>([
    [
      'an update → its events, named by it',
      (h) => h.accepted('u1', ['a', { type: 'user.interrupt' }]),
      [
        { ...message('a'), id: 'sevt_u1_0' },
        { type: 'user.interrupt', id: 'sevt_u1_1' },
      ],
    ],
    ['another update → nothing', (h) => h.accepted('u1', 'a', 'rename'), []],
    [
      'an update admitted by a reset, then accepted without its request → once',
      (h) => {
        h.admitted('u1', 'a');
        h.acceptedWithoutRequest('u1');
      },
      [{ ...message('a'), id: 'sevt_u1_0' }],
    ],
    [
      'a repeated update id → once',
      (h) => {
        h.accepted('u1', 'a');
        h.accepted('u1', 'a');
      },
      [message('a')],
    ],
    [
      'an update id of an earlier run → nothing',
      (h) => {
        h.started({ continued: { run_index: 1, recent_updates: [{ id: 'u1', count: 1 }] } });
        h.accepted('u1', 'a');
        h.accepted('u2', 'b');
      },
      [message('b')],
    ],
    [
      'a signal → its events, named by the run',
      (h) => {
        h.started({});
        h.signaled(['a', 'b']);
      },
      [
        { ...message('a'), id: historyEventId(RUN, 2, 0) },
        { ...message('b'), id: historyEventId(RUN, 2, 1) },
      ],
    ],
    ['another signal → nothing', (h) => h.signaled('a', 'upgrade'), []],
    [
      'a signal with one bad event of two → one error, as the workflow ignores it',
      (h) => h.signaled(['a', { type: 'user.shout' }]),
      [error('invalid_event_error', expect.stringMatching(/events\[1\]/), 'terminal')],
    ],
    [
      'an undecodable signal → an error',
      (h) =>
        h.add({
          eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
          workflowExecutionSignaledEventAttributes: { signalName: 'send', input: undecodable },
        }),
      [error('invalid_event_error', expect.any(String), 'terminal')],
    ],
  ])('%s', (_name, build, expected) => {
    expect(contributions(build)).toMatchObject(expected);
    expect(contributions(build)).toHaveLength(expected.length);
  });
});

describe('activities', () => {
  const respond = (h: HistoryBuilder) => {
    h.started({});
    return h.scheduled('respond', { step: 1 });
  };
  const execute = (h: HistoryBuilder) => {
    h.started({});
    return h.scheduled('execute', { hand: { name: 'main' }, call: { id: 'toolu_1' } });
  };
  const start = { type: 'span.model_request_start', id: historyEventId(RUN, 2, 0) };
  const failedCall = (text: string) => ({
    ...result('toolu_1'),
    id: historyEventId(RUN, 2, 0),
    is_error: true,
    content: [{ type: 'text', text: expect.stringContaining(text) }],
  });

  test.each<Row>([
    ['respond scheduled → the request starts', respond, [start]],
    [
      'respond completed → its events, from item 1 on; a tool use keeps its id; the end names the start',
      (h) =>
        h.completed(respond(h), {
          events: [
            { type: 'agent.message', content: [] },
            toolUse('toolu_1'),
            { type: 'span.model_request_end', model_request_start_id: '?', model_usage: {} },
          ],
        }),
      [
        start,
        { type: 'agent.message', id: historyEventId(RUN, 2, 1) },
        toolUse('toolu_1'),
        {
          type: 'span.model_request_end',
          id: historyEventId(RUN, 2, 3),
          model_request_start_id: start.id,
        },
      ],
    ],
    [
      'respond at its first attempt → nothing more',
      (h) => h.attempted(respond(h), 1, failure(FAILURE.modelOverloaded)),
      [start],
    ],
    [
      'respond tried again → one retrying error',
      (h) => h.attempted(respond(h), 3, failure(FAILURE.modelOverloaded, 'busy')),
      [
        start,
        {
          ...error('model_overloaded_error', expect.stringContaining('busy'), 'retrying'),
          id: historyEventId(RUN, 3, 0),
        },
      ],
    ],
    ['tried again for no known reason → nothing', (h) => h.attempted(respond(h), 2), [start]],
    ['execute tried again → nothing', (h) => h.attempted(execute(h), 2, failure('x')), []],
    [
      'respond failed → exhausted',
      (h) => h.failed(respond(h), activityFailure(failure(FAILURE.modelBilling, 'no money'))),
      [start, error('billing_error', expect.stringContaining('no money'), 'exhausted')],
    ],
    [
      'respond timed out → exhausted',
      (h) => h.timedOut(respond(h), timeout('TIMEOUT_TYPE_HEARTBEAT')),
      [start, error('unknown_error', expect.stringContaining('stopped answering'), 'exhausted')],
    ],
    ['respond cancelled → nothing more', (h) => h.canceled(respond(h)), [start]],
    [
      'execute completed → its result',
      (h) => h.completed(execute(h), { events: [result('toolu_1')] }),
      [{ ...result('toolu_1'), id: historyEventId(RUN, 2, 0) }],
    ],
    [
      'execute failed → an error result for its call',
      (h) => h.failed(execute(h), failure('Sandbox.Unavailable', 'no sandbox')),
      [failedCall('no sandbox')],
    ],
    [
      'execute timed out → an error result',
      (h) => h.timedOut(execute(h), timeout('TIMEOUT_TYPE_START_TO_CLOSE')),
      [failedCall('time allowed')],
    ],
    [
      'execute cancelled → an error result',
      (h) => h.canceled(execute(h)),
      [failedCall('cancelled')],
    ],
    [
      'record completed → its events',
      (h) => {
        h.started({});
        h.completed(h.scheduled('record', {}), { events: [result('toolu_2')] });
      },
      [{ ...result('toolu_2'), id: historyEventId(RUN, 2, 0) }],
    ],
    [
      'an activity without events → nothing',
      (h) => h.completed(h.scheduled('release', {}), undefined),
      [],
    ],
    ['provision failed → nothing', (h) => h.failed(h.scheduled('provision', {}), failure('x')), []],
    [
      'an undecodable result → an error that names the activity',
      (h) =>
        h.add({
          eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
          activityTaskCompletedEventAttributes: {
            scheduledEventId: respond(h) as unknown as null,
            result: undecodable,
          },
        }),
      [start, error('unknown_error', expect.stringContaining('respond'), 'terminal')],
    ],
  ])('%s', (_name, build, expected) => {
    expect(contributions(build)).toMatchObject(expected);
    expect(contributions(build)).toHaveLength(expected.length);
  });

  test.each([
    [FAILURE.modelRateLimited, 'model_rate_limited_error'],
    [FAILURE.modelOverloaded, 'model_overloaded_error'],
    [FAILURE.modelUnavailable, 'model_request_failed_error'],
    [FAILURE.modelStalled, 'model_request_failed_error'],
    [FAILURE.modelInvalidRequest, 'model_request_failed_error'],
    [FAILURE.modelAuthentication, 'model_request_failed_error'],
    [FAILURE.modelNotFound, 'model_request_failed_error'],
    [FAILURE.modelResultTooLarge, 'model_request_failed_error'],
    [FAILURE.modelInterrupted, 'model_request_failed_error'],
    [FAILURE.modelBilling, 'billing_error'],
    ['Something.Else', 'unknown_error'],
  ])('failure %s → %s', (type, expected) => {
    const events = contributions((h) => h.failed(respond(h), failure(type)));
    expect(events.at(-1)).toMatchObject(error(expected, expect.any(String), 'exhausted'));
  });
});

describe('status', () => {
  const answered = (h: HistoryBuilder, events: unknown[]) => {
    h.started({});
    h.completed(h.scheduled('respond'), { events });
  };
  const custom = { type: 'agent.custom_tool_use', id: 'c1', name: 'lookup', input: {} };
  const server = { ...toolUse('s1', 'ask'), block: { type: 'server_tool_use' } };
  const idle = (h: HistoryBuilder) => h.status('idle', 'requires_action');
  const confirm = { type: 'user.tool_confirmation', tool_use_id: 'a1', result: 'allow' };
  const customResult = { type: 'user.custom_tool_result', custom_tool_use_id: 'c1' };

  test.each<[string, (h: HistoryBuilder) => void, string[]]>([
    [
      'an ask waits, an allow does not',
      (h) => answered(h, [toolUse('a1', 'ask'), toolUse('b1')]),
      ['a1'],
    ],
    ['a custom call waits', (h) => answered(h, [custom]), ['c1']],
    ['a server tool never waits', (h) => answered(h, [server]), []],
    [
      'a call that came with its result does not wait',
      (h) => answered(h, [toolUse('a1', 'ask'), result('a1')]),
      [],
    ],
    [
      'confirmed: no longer',
      (h) => {
        answered(h, [toolUse('a1', 'ask'), custom]);
        h.accepted('u', confirm);
      },
      ['c1'],
    ],
    [
      'denied: no longer',
      (h) => {
        answered(h, [toolUse('a1', 'ask')]);
        h.accepted('u', { ...confirm, result: 'deny' });
      },
      [],
    ],
    [
      'its result given: no longer',
      (h) => {
        answered(h, [toolUse('a1', 'ask'), custom]);
        h.accepted('u', customResult);
      },
      ['a1'],
    ],
    [
      'answers recorded before their calls count',
      (h) => {
        h.started({});
        const step = h.scheduled('respond');
        h.signaled([confirm, customResult]);
        h.completed(step, { events: [toolUse('a1', 'ask'), custom, toolUse('a2', 'ask')] });
      },
      ['a2'],
    ],
    [
      'a confirmation is no result',
      (h) => {
        answered(h, [custom]);
        h.accepted('u', { ...confirm, tool_use_id: 'c1' });
      },
      ['c1'],
    ],
    [
      'closed by an interrupt: no longer',
      (h) => {
        answered(h, [toolUse('a1', 'ask'), custom]);
        h.completed(h.scheduled('record'), { events: [result('a1'), result('c1')] });
      },
      [],
    ],
    [
      'calls that an earlier run left open wait',
      (h) => {
        const call = { id: 'a0', name: 'bash', input: {}, hand: 'main' };
        h.started({ continued: { calls: [{ ...call, waits_for: 'confirmation' }] } });
      },
      ['a0'],
    ],
  ])('%s', (_name, build, waiting) => {
    const events = contributions((h) => {
      build(h);
      idle(h);
    });
    expect(events.at(-1)).toMatchObject({
      type: 'session.status_idle',
      stop_reason: { type: 'requires_action', event_ids: waiting },
    });
  });

  const refusal = { type: 'refusal', category: 'bio', explanation: null };
  const refused = { type: 'span.model_request_end', model_usage: {}, stop_details: refusal };
  test.each<Row>([
    ['running', (h) => h.status('running'), [{ type: 'session.status_running' }]],
    [
      'idle at the end of a turn',
      (h) => h.status('idle', 'end_turn'),
      [{ type: 'session.status_idle', stop_reason: { type: 'end_turn' }, stop_details: null }],
    ],
    [
      'idle after retries',
      (h) => h.status('idle', 'retries_exhausted'),
      [{ stop_reason: { type: 'retries_exhausted' } }],
    ],
    [
      'idle by a refusal → its details, from the last request',
      (h) => {
        h.completed(h.scheduled('record'), { events: [refused] });
        h.status('idle', 'refusal');
      },
      [refused, { stop_reason: { type: 'refusal' }, stop_details: refusal }],
    ],
    ['another status → nothing', (h) => h.status('rescheduling'), []],
    [
      'search attributes without a status → nothing',
      (h) =>
        h.add({
          eventType: EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
          upsertWorkflowSearchAttributesEventAttributes: { searchAttributes: {} },
        }),
      [],
    ],
    [
      'continued as new → nothing',
      (h) => h.add({ eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW }),
      [],
    ],
    [
      'completed',
      (h) => h.add({ eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED }),
      [{ type: 'session.status_terminated', reason: null }],
    ],
    [
      'cancelled',
      (h) => h.add({ eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED }),
      [{ type: 'session.status_terminated', reason: 'it was cancelled' }],
    ],
    [
      'timed out',
      (h) => h.add({ eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT }),
      [{ type: 'session.status_terminated', reason: expect.stringContaining('time allowed') }],
    ],
    [
      'terminated',
      (h) =>
        h.add({
          eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
          workflowExecutionTerminatedEventAttributes: { reason: 'enough' },
        }),
      [{ type: 'session.status_terminated', reason: 'it was terminated: enough' }],
    ],
    [
      'failed',
      (h) =>
        h.add({
          eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
          workflowExecutionFailedEventAttributes: {
            failure: failure('Agent.NotFound', 'no agent'),
          },
        }),
      [{ type: 'session.status_terminated', reason: 'no agent' }],
    ],
    [
      'after a reset → named by the new run, even what was scheduled before it',
      (h) => {
        h.started({});
        const step = h.scheduled('respond');
        h.reset(OTHER_RUN);
        h.completed(step, { events: [{ type: 'agent.message', content: [] }] });
      },
      [
        { type: 'span.model_request_start', id: historyEventId(RUN, 2, 0) },
        { type: 'agent.message', id: historyEventId(OTHER_RUN, 2, 1) },
      ],
    ],
  ])('%s', (_name, build, expected) => {
    expect(contributions(build)).toMatchObject(expected);
    expect(contributions(build)).toHaveLength(expected.length);
  });
});
