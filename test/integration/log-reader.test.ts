import { randomUUID } from 'node:crypto';
import type { WorkflowService } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import {
  CursorAbandonedError,
  CursorMalformedError,
  createLogReader,
  type LogReader,
  RunNotRetainedError,
  SessionNotFoundError,
  type SliceOptions,
} from '../../log/index.ts';
import { formatPosition, parsePosition } from '../../log/position.ts';
import { userEventId } from '../../protocol/ids.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { collect } from '../support/collect.ts';
import { createLogWorld, type LogWorld } from '../support/log-worker.ts';
import { waitForIdle } from '../support/wait-for-idle.ts';

let world: LogWorld;
let reader: LogReader;

beforeAll(async () => {
  world = await createLogWorld(inject('temporalAddress'));
  reader = createLogReader(world.deps);
});
afterAll(() => world.close());

const typesOf = (events: readonly SessionEvent[]) => events.map((event) => event.type);

describe('a chain of three runs, closed', () => {
  let sessionId: string;
  let log: SessionEvent[];

  beforeAll(async () => {
    const input = { initial_events: ['bash one'], metadata: { steps_per_run: '2' }, title: 'T' };
    sessionId = (await world.start(input)).workflowId;
    await waitForIdle(reader, sessionId, 1);
    await world.send(sessionId, 'bash two', 'second');
    await waitForIdle(reader, sessionId, 2);
    await world.send(sessionId, ['three', 'end'], 'third');
    await world.client.workflow.getHandle(sessionId).result();
    log = await reader.read(sessionId);
  });

  const turn = [
    'user.message',
    'session.status_running',
    'span.model_request_start',
    'agent.tool_use',
    'span.model_request_end',
    'agent.tool_result',
    'span.model_request_start',
    'agent.message',
    'span.model_request_end',
    'session.status_idle',
  ];

  test('reads as one log in order', () => {
    expect(typesOf(log)).toEqual([
      ...turn,
      ...turn,
      'user.message',
      'user.message',
      'session.status_running',
      'span.model_request_start',
      'agent.message',
      'span.model_request_end',
      'session.status_idle',
      'session.status_terminated',
    ]);
    expect(log.map((event) => event.position)).toEqual(log.map((event) => event.position).sort());
    expect(new Set(log.map((event) => event.id)).size).toBe(log.length);
    expect(new Set(log.map((event) => parsePosition(event.position).run))).toEqual(
      new Set([0, 1, 2]),
    );
  });

  test('user events are named by their update, and processed when a step saw them', () => {
    const users = log.filter((event) => event.type === 'user.message');
    const steps = log.filter((event) => event.type === 'span.model_request_start');
    expect(users.slice(1).map((event) => event.id)).toEqual([
      userEventId('second', 0),
      userEventId('third', 0),
      userEventId('third', 1),
    ]);
    expect(users.map((event) => event.processed_at)).toEqual(
      [0, 2, 4, 4].map((step) => steps[step]?.processed_at),
    );
  });

  test('a request end names its start, and a result its call', () => {
    const byType = (type: string) => log.filter((event) => event.type === type);
    expect(
      byType('span.model_request_end').map(
        (event) => event.type === 'span.model_request_end' && event.model_request_start_id,
      ),
    ).toEqual(byType('span.model_request_start').map((event) => event.id));
    expect(
      byType('agent.tool_result').map(
        (event) => event.type === 'agent.tool_result' && event.tool_use_id,
      ),
    ).toEqual(byType('agent.tool_use').map((event) => event.id));
  });

  const at = (index: number) => log[index]?.position;
  test.each<[string, () => SliceOptions]>([
    ['everything backwards', () => ({ order: 'desc' })],
    ['after an event of the first run', () => ({ after: at(3) })],
    ['after the last of a run', () => ({ after: at(9) })],
    ['after the very last', () => ({ after: at(log.length - 1) })],
    ['before an event of the second run', () => ({ before: at(13) })],
    ['before the very first', () => ({ before: at(0) })],
    ['between two runs', () => ({ after: at(4), before: at(22) })],
    ['between two runs, backwards', () => ({ after: at(4), before: at(22), order: 'desc' })],
    ['nothing: after is past before', () => ({ after: at(22), before: at(4) })],
    ['the first three', () => ({ limit: 3 })],
    ['the last three', () => ({ order: 'desc', limit: 3 })],
    ['twelve over a roll-over', () => ({ after: at(2), limit: 12 })],
    ['twelve backwards over a roll-over', () => ({ before: at(25), order: 'desc', limit: 12 })],
    ['one type', () => ({ types: ['agent.message'] })],
    [
      'two types backwards, limited',
      () => ({ types: ['user.message', 'agent.tool_use'], order: 'desc', limit: 3 }),
    ],
    ['no type', () => ({ types: [] })],
    ['none', () => ({ limit: 0 })],
  ])('slice: %s', async (_name, optionsOf) => {
    const options = optionsOf();
    const { after, before, order, limit, types } = options;
    const expected = log.filter(
      (event) =>
        (after === undefined || event.position > after) &&
        (before === undefined || event.position < before) &&
        (types === undefined || types.includes(event.type)),
    );
    if (order === 'desc') expected.reverse();
    expect(await reader.read(sessionId, options)).toEqual(expected.slice(0, limit));
  });

  test('a limited slice from the end leaves earlier runs unread', async () => {
    const read: (string | null | undefined)[] = [];
    const service = new Proxy(world.deps.service, {
      get: (target, name) =>
        name === 'getWorkflowExecutionHistory'
          ? (request: Parameters<typeof target.getWorkflowExecutionHistory>[0]) => {
              if (request.maximumPageSize !== 1) read.push(request.execution?.runId);
              return target.getWorkflowExecutionHistory(request);
            }
          : Reflect.get(target, name),
    });
    const counting = createLogReader({ ...world.deps, service });
    await counting.read(sessionId, { order: 'desc', limit: 3 });
    expect(read).toHaveLength(1);
    await counting.session(sessionId);
    expect(read).toHaveLength(2);
    await counting.read(sessionId, { limit: 3 });
    expect(read).toHaveLength(3);
  });

  test('the resource says how it ended', async () => {
    const usage = (steps: number) => ({
      input_tokens: 10 * steps,
      output_tokens: 2 * steps,
      cache_creation_input_tokens: steps,
      cache_read_input_tokens: 5 * steps,
    });
    expect(await reader.session(sessionId)).toMatchObject({
      type: 'session',
      id: sessionId,
      status: 'terminated',
      stop_reason: null,
      title: 'T',
      metadata: { steps_per_run: '2' },
      agent: { id: null, definition: { name: 'drover' } },
      environment: { definition: { name: 'default' } },
      pending_actions: [],
      usage: usage(5),
      hands: { main: { instance: 'main-1' } },
      created_at: log[0]?.position === undefined ? '' : expect.stringMatching(/^20.*Z$/),
    });
  });

  test('a tail of it gives what is left after any position, and ends', async () => {
    for (const [index, { position }] of log.entries()) {
      const events = await collect(reader.tail(sessionId, { after: position }));
      const fresh = events.filter((event) => event.position > position);
      expect(fresh).toEqual(log.slice(index + 1));
      // What was queued at the cursor comes again, now with the time at which it was seen.
      const again = log.filter(
        (event, before) =>
          event.type.startsWith('user.') &&
          before <= index &&
          !log.slice(before, index + 1).some((later) => later.type === 'span.model_request_start'),
      );
      expect(events.filter((event) => event.position <= position)).toEqual(again);
    }
  });

  test.each([
    ['not-a-position', CursorMalformedError],
    ['00000-000001-00000-zz', CursorMalformedError],
    [formatPosition({ run: 7, event: 1, item: 0, tag: 'aaaaaaaa' }), CursorAbandonedError],
    [formatPosition({ run: 0, event: 1, item: 0, tag: 'aaaaaaaa' }), CursorAbandonedError],
    [formatPosition({ run: 1, event: 900, item: 0, tag: 'aaaaaaaa' }), CursorAbandonedError],
  ])('cursor %s → refused', async (after, error) => {
    await expect(reader.read(sessionId, { after })).rejects.toThrow(error);
    await expect(reader.read(sessionId, { before: after })).rejects.toThrow(error);
    await expect(collect(reader.tail(sessionId, { after }))).rejects.toThrow(error);
  });

  test('a run that retention removed is named', async () => {
    const [started] = await world.history(sessionId);
    const runId = started?.workflowExecutionStartedEventAttributes?.firstExecutionRunId ?? '';
    const forgetful = createLogReader({ ...world.deps, service: without(runId) });
    const error = await forgetful.read(sessionId).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RunNotRetainedError);
    expect(error).toMatchObject({ code: 'run_not_retained', runId, sessionId });
    await expect(collect(forgetful.tail(sessionId))).rejects.toThrow(RunNotRetainedError);
    expect(await forgetful.read(sessionId, { order: 'desc', limit: 3 })).toHaveLength(3);
    expect(await forgetful.read(sessionId, { after: log.at(-4)?.position })).toHaveLength(3);
  });

  /** The server, asked for a run that it does not have whenever it is asked for this one. */
  function without(runId: string): WorkflowService {
    const missing = randomUUID();
    return new Proxy(world.deps.service, {
      get: (target, name) =>
        name === 'getWorkflowExecutionHistory'
          ? (request: Parameters<typeof target.getWorkflowExecutionHistory>[0]) => {
              const isGone = request.execution?.runId === runId;
              const execution = { ...request.execution, runId: missing };
              return target.getWorkflowExecutionHistory(
                isGone ? { ...request, execution } : request,
              );
            }
          : Reflect.get(target, name),
    });
  }
});

test('no such session → refused', async () => {
  await expect(reader.read('nobody')).rejects.toThrow(SessionNotFoundError);
  await expect(reader.session('nobody')).rejects.toThrow(SessionNotFoundError);
  await expect(collect(reader.tail('nobody'))).rejects.toThrow(SessionNotFoundError);
});

test('no such namespace → said so, not that the session is missing', async () => {
  const elsewhere = createLogReader({ ...world.deps, namespace: 'elsewhere' });
  await expect(elsewhere.read('nobody')).rejects.toThrow(/namespace.*not found/i);
  await expect(elsewhere.read('nobody')).rejects.not.toThrow(SessionNotFoundError);
});
