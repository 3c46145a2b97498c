import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { EventType } from '../../log/history-event.ts';
import { createLogReader, type LogReader } from '../../log/index.ts';
import { formatPosition, parsePosition } from '../../log/position.ts';
import { userEventId } from '../../protocol/ids.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { collect } from '../support/collect.ts';
import { createLogWorld, type LogWorld } from '../support/log-worker.ts';
import { waitFor } from '../support/wait-for.ts';
import { waitForIdle } from '../support/wait-for-idle.ts';
import { watchTail } from '../support/watch-tail.ts';

let world: LogWorld;
let reader: LogReader;

beforeAll(async () => {
  world = await createLogWorld(inject('temporalAddress'));
  reader = createLogReader(world.deps);
});
afterAll(() => world.close());

/** A queued event comes again when it was seen; everything else comes once. */
function expectOnce(given: readonly SessionEvent[], log: readonly SessionEvent[]): void {
  const again = given.filter((event, index) =>
    given.slice(0, index).some((earlier) => earlier.id === event.id),
  );
  for (const event of again) {
    const earlier = given.filter(({ id }) => id === event.id);
    expect(earlier.map(({ processed_at }) => processed_at)).toEqual([null, event.processed_at]);
  }
  const first = given.filter((event) => !again.includes(event));
  expect(first.map((event) => event.position)).toEqual(log.map((event) => event.position));
  const latest = new Map(given.map((event) => [event.position, event]));
  expect([...latest.values()]).toEqual(log);
}

test('a live tail over roll-overs gives every event once', async () => {
  const input = { initial_events: ['bash one'], metadata: { steps_per_run: '1' } };
  const { workflowId } = await world.start(input);
  const tail = watchTail(reader, workflowId);
  for (const [round, text] of ['bash two', 'three', 'bash four'].entries()) {
    await waitForIdle(reader, workflowId, 1 + 2 * round);
    await world.send(workflowId, text);
    // The model is asked while it speaks: some messages wait in the queue.
    await world.send(workflowId, `${text} again`);
  }
  await waitForIdle(reader, workflowId, 7);
  await world.send(workflowId, 'end');
  await tail.ended;
  const log = await reader.read(workflowId);
  expectOnce(tail.events, log);
  expect(new Set(log.map(({ position }) => position.slice(0, 5))).size).toBeGreaterThan(2);
  expect(log.at(-1)?.type).toBe('session.status_terminated');
});

test('rejected updates, whose tasks are speculative, neither hide nor repeat an event', async () => {
  const { workflowId } = await world.start({});
  const tail = watchTail(reader, workflowId);
  for (let round = 0; round < 8; round += 1) {
    await expect(world.send(workflowId, { type: 'user.nonsense' })).rejects.toThrow();
    await world.send(workflowId, `round ${round}`, `round-${round}`);
    await expect(world.send(workflowId, [])).rejects.toThrow();
  }
  await waitForIdle(reader, workflowId, 8);
  await expect(world.send(workflowId, 7)).rejects.toThrow();
  await world.send(workflowId, 'end');
  await tail.ended;
  expectOnce(tail.events, await reader.read(workflowId));
});

test('without a worker a queued event comes at once, and again when a step sees it', async () => {
  const { workflowId } = await world.start('first');
  await waitForIdle(reader, workflowId, 1);
  await world.stopWorker();
  const tail = watchTail(reader, workflowId);
  await world.client.workflow.getHandle(workflowId).signal('send', 'are you there?');
  const queued = await tail.next((event) => event.type === 'user.message' && !event.processed_at);
  expect((await reader.read(workflowId)).at(-1)).toEqual(queued);
  expect(await reader.session(workflowId)).toMatchObject({ status: 'idle' });
  await world.startWorker();
  const seen = await tail.next((event) => event.id === queued.id && event.processed_at !== null);
  expect(seen).toEqual({ ...queued, processed_at: expect.stringMatching(/Z$/) });
  await tail.stop();
});

test('types are filtered, and a filter does not hide that an event was seen', async () => {
  const { workflowId } = await world.start('bash x');
  const tail = watchTail(reader, workflowId, { types: ['user.message', 'agent.message'] });
  await waitForIdle(reader, workflowId, 1);
  await world.send(workflowId, 'end');
  await tail.ended;
  expect(new Set(tail.events.map(({ type }) => type))).toEqual(
    new Set(['user.message', 'agent.message']),
  );
  expect(tail.events.at(-1)).toMatchObject({ type: 'agent.message' });
});

test.each([
  ['terminated', 'it was terminated: enough', 'terminate'],
  ['cancelled', 'it was cancelled', 'cancel'],
] as const)(
  'a session that is %s → status_terminated, and the tail ends',
  async (_, reason, how) => {
    const handle = await world.start('hello');
    const tail = watchTail(reader, handle.workflowId);
    await waitForIdle(reader, handle.workflowId, 1);
    if (how === 'terminate') await handle.terminate('enough');
    else await handle.cancel();
    await tail.ended;
    expect(tail.events.at(-1)).toMatchObject({ type: 'session.status_terminated', reason });
    const session = await reader.session(handle.workflowId);
    expect(session).toMatchObject({ status: 'terminated', stop_reason: null });
  },
);

test('another session under the same id does not continue the tail', async () => {
  const workflowId = `log-again-${crypto.randomUUID()}`;
  await world.start('hello', workflowId);
  const tail = watchTail(reader, workflowId);
  const log = await waitForIdle(reader, workflowId, 1);
  await tail.next((event) => event.id === log.at(-1)?.id);
  // In one transaction: the tail cannot look in between.
  await world.client.workflow.start('session', {
    taskQueue: world.taskQueue,
    workflowId,
    args: ['other'],
    workflowIdConflictPolicy: 'TERMINATE_EXISTING',
  });
  await tail.ended;
  const rest = tail.events.slice(tail.events.findIndex(({ id }) => id === log.at(-1)?.id) + 1);
  expect(rest).toMatchObject([{ type: 'session.status_terminated' }]);
});

test('a cursor past the end of a live session is refused, not waited for', async () => {
  const { workflowId } = await world.start('hello');
  const log = await waitForIdle(reader, workflowId, 1);
  const last = parsePosition(log.at(-1)?.position ?? '');
  const after = formatPosition({ ...last, event: last.event + 1_000 });
  await expect(collect(reader.tail(workflowId, { after }))).rejects.toThrow(/no longer in the log/);
});

test('fifty tails of one session each get the whole log; aborting them is clean', async () => {
  const { workflowId } = await world.start('hello');
  const tails = Array.from({ length: 50 }, () => watchTail(reader, workflowId));
  await world.send(workflowId, 'bash x');
  const log = await waitForIdle(reader, workflowId, 2);
  const last = log.at(-1);
  await Promise.all(tails.map((tail) => tail.next((event) => event.id === last?.id)));
  for (const tail of tails) expectOnce(tail.events, log);
  const started = performance.now();
  await Promise.all(tails.map((tail) => tail.stop()));
  expect(performance.now() - started).toBeLessThan(2_000);
});

test('tails of one session that wait at the same place wait with one long poll', async () => {
  const { workflowId } = await world.start('hello');
  const log = await waitForIdle(reader, workflowId, 1);
  let polls = 0;
  const counting = new Proxy(world.deps.service, {
    get: (target, name) =>
      name === 'getWorkflowExecutionHistory'
        ? (request: Parameters<typeof target.getWorkflowExecutionHistory>[0]) => {
            if (request.waitNewEvent === true) polls += 1;
            return target.getWorkflowExecutionHistory(request);
          }
        : Reflect.get(target, name),
  });
  const shared = createLogReader({ ...world.deps, service: counting });
  const tails = Array.from({ length: 20 }, () => watchTail(shared, workflowId));
  await Promise.all(tails.map((tail) => tail.next(({ id }) => id === log.at(-1)?.id)));
  await world.send(workflowId, 'bye');
  const last = (await waitForIdle(reader, workflowId, 2)).at(-1);
  await Promise.all(tails.map((tail) => tail.next(({ id }) => id === last?.id)));
  await Promise.all(tails.map((tail) => tail.stop()));
  // Apart, each of the twenty would have polled several times.
  expect(polls).toBeLessThan(tails.length);
});

test('a tail aborted before it began gives nothing', async () => {
  const { workflowId } = await world.start('hello');
  expect(await collect(reader.tail(workflowId, { signal: AbortSignal.abort() }))).toEqual([]);
});

test('without withAbortSignal an aborted tail still ends at once', async () => {
  const { workflowId } = await world.start('hello');
  const { service, namespace } = world.deps;
  const tail = watchTail(createLogReader({ service, namespace }), workflowId);
  await tail.next((event) => event.type === 'session.status_idle');
  await tail.stop();
});

describe('a reset', () => {
  async function taskAfter(sessionId: string, runId: string, type: SessionEvent['type'], nth = 0) {
    const log = await reader.read(sessionId);
    const at = log.filter((event) => event.type === type)[nth]?.position ?? '';
    const eventId = Number(at.split('-')[1]);
    const history = await world.history(sessionId, runId);
    const task = history.find(
      (event) =>
        event.eventType === EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED &&
        Number(event.eventId) > eventId,
    );
    if (task === undefined) throw new Error(`no task after ${type}`);
    return task;
  }

  test('in the middle of a run: the tail goes on, positions before it stay, those after do not', async () => {
    const handle = await world.start({ initial_events: ['bash one'] });
    const { workflowId, firstExecutionRunId: runId } = handle;
    await waitForIdle(reader, workflowId, 1);
    await world.send(workflowId, 'two', 'update-two');
    await handle.signal('send', 'three');
    const before = await waitForIdle(reader, workflowId, 3);
    const tail = watchTail(reader, workflowId);
    await tail.next((event) => event.id === before.at(-1)?.id);

    const finish = await taskAfter(workflowId, runId, 'agent.tool_result');
    const newRunId = await world.reset(workflowId, runId, finish);
    await waitForIdle(reader, workflowId, 3);
    await world.send(workflowId, 'end');
    await tail.ended;

    const log = await reader.read(workflowId);
    const fork = before.findIndex((event) => event.type === 'agent.tool_result') + 1;
    expect(log.slice(0, fork)).toEqual(before.slice(0, fork));
    const fresh = log.slice(fork);
    expect(
      fresh.filter((event) => before.some(({ position }) => position === event.position)),
    ).toEqual([]);
    expect(log.filter(({ id }) => id === userEventId('update-two', 0))).toHaveLength(1);
    const said = log.flatMap((event) => (event.type === 'user.message' ? event.content : []));
    expect(said.map((block) => block.type === 'text' && block.text)).toEqual([
      'bash one',
      'two',
      'three',
      'end',
    ]);
    const steps = log.filter((event) => event.type === 'span.model_request_start');
    expect(steps[0]?.id).toContain(runId);
    expect(steps.slice(1).every(({ id }) => id.includes(newRunId))).toBe(true);

    const sinceReset = tail.events.slice(before.length);
    const latest = new Map(sinceReset.map((event) => [event.position, event]));
    expect([...latest.values()]).toEqual(fresh);

    const lastKept = before[fork - 1]?.position;
    expect(await reader.read(workflowId, { after: lastKept })).toEqual(fresh);
    expect(await collect(reader.tail(workflowId, { after: lastKept }))).toEqual(fresh);
    for (const { position } of before.slice(fork)) {
      await expect(reader.read(workflowId, { after: position })).rejects.toThrow(/reset abandoned/);
      await expect(collect(reader.tail(workflowId, { after: position }))).rejects.toThrow(
        /reset abandoned/,
      );
    }
  });

  test('of an earlier run, and of the run that it made: the tail follows both', async () => {
    const handle = await world.start({
      initial_events: ['one'],
      metadata: { steps_per_run: '1' },
    });
    const { workflowId, firstExecutionRunId: runId } = handle;
    await waitForIdle(reader, workflowId, 1);
    await world.send(workflowId, 'two', 'update-two');
    const before = await waitForIdle(reader, workflowId, 2);
    const tail = watchTail(reader, workflowId, { after: before.at(-2)?.position });
    await tail.next((event) => event.id === before.at(-1)?.id);

    const finish = await taskAfter(workflowId, runId, 'span.model_request_end');
    const second = await world.reset(workflowId, runId, finish);
    const middle = await waitForIdle(reader, workflowId, 2);
    await tail.next((event) => event.position === middle.at(-1)?.position);
    const again = await taskAfter(workflowId, second, 'session.status_running');
    await world.reset(workflowId, second, again);
    await waitForIdle(reader, workflowId, 2);
    await world.send(workflowId, 'end');
    await tail.ended;

    const log = await reader.read(workflowId);
    const latest = new Map(tail.events.map((event) => [event.position, event]));
    const fresh = log.filter(({ position }) => latest.has(position));
    expect(fresh).toEqual(log.slice(log.length - fresh.length));
    expect(log.filter(({ id }) => id === userEventId('update-two', 0))).toHaveLength(1);
    expect(log.slice(0, log.length - fresh.length)).toEqual(
      before.slice(0, log.length - fresh.length),
    );
  });

  test('of a session that had ended: it lives again', async () => {
    const handle = await world.start({ initial_events: ['end'] });
    const { workflowId, firstExecutionRunId: runId } = handle;
    await handle.result();
    const finish = await taskAfter(workflowId, runId, 'agent.message');
    const ended = await reader.read(workflowId);
    await world.reset(workflowId, runId, finish);
    await waitFor('the new run to end too', async () => {
      const log = await reader.read(workflowId);
      return (
        log.at(-1)?.position !== ended.at(-1)?.position &&
        log.at(-1)?.type === 'session.status_terminated'
      );
    });
    await expect(reader.read(workflowId, { after: ended.at(-1)?.position })).rejects.toThrow(
      /reset abandoned/,
    );
  });
});
