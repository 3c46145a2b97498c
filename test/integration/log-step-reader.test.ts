import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { EventType } from '../../log/history-event.ts';
import { createLogReader, createStepReader, type LogReader } from '../../log/index.ts';
import { historyEventId } from '../../protocol/ids.ts';
import { collect } from '../support/collect.ts';
import { createLogWorld, type LogWorld } from '../support/log-worker.ts';
import { waitFor } from '../support/wait-for.ts';
import { waitForIdle } from '../support/wait-for-idle.ts';

let world: LogWorld;
let reader: LogReader;

beforeAll(async () => {
  world = await createLogWorld(inject('temporalAddress'));
  reader = createLogReader(world.deps);
});
afterAll(() => world.close());

const readsOf = (sessionId: string) => world.reads.filter(({ at }) => at.workflowId === sessionId);

test('a step sees the log strictly before itself, over roll-overs, as others can read it', async () => {
  const input = { initial_events: ['bash one'], metadata: { steps_per_run: '2' } };
  const { workflowId } = await world.start(input);
  for (const [index, text] of ['bash two', 'three', 'bash four'].entries()) {
    await waitForIdle(reader, workflowId, index + 1);
    await world.send(workflowId, text);
  }
  const log = await waitForIdle(reader, workflowId, 4);
  const starts = log.filter((event) => event.type === 'span.model_request_start');
  const reads = readsOf(workflowId);
  expect(reads).toHaveLength(starts.length);
  for (const [step, start] of starts.entries()) {
    const context = reads[step]?.context;
    expect(context?.events).toEqual(log.slice(0, log.indexOf(start)));
    expect(start.id).toBe(
      historyEventId(context?.identityRunId ?? '', context?.scheduledEventId ?? 0, 0),
    );
  }
  expect(new Set(reads.map(({ at }) => at.runId)).size).toBeGreaterThan(1);
});

test('a retried attempt sees the same context, and so does anybody later, cold', async () => {
  const { workflowId } = await world.start('retry this');
  await waitFor('the first attempt', async () => readsOf(workflowId)[0]);
  // Arrives between the attempts or after them: never part of this step's context.
  await world.send(workflowId, 'by the way');
  const log = await waitForIdle(reader, workflowId, 2);
  const [first, second, ...rest] = readsOf(workflowId);
  expect(second?.context).toEqual(first?.context);
  expect(rest.length).toBeGreaterThan(0);
  expect(log.some((event) => event.type === 'session.error')).toBe(true);
  for (const { at, context } of readsOf(workflowId)) {
    const cold = createStepReader({ ...world.deps });
    expect(await cold.readStep(at)).toEqual(context);
  }
});

test('a step that a reset runs again is named by the new run', async () => {
  const handle = await world.start('hold');
  const { workflowId, firstExecutionRunId } = handle;
  await waitFor('the step to be held', async () => readsOf(workflowId)[0]);
  await world.send(workflowId, 'meanwhile', 'meanwhile');
  const history = await world.history(workflowId);
  const finish = history.findLast(
    (event) => event.eventType === EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
  );
  if (finish === undefined) throw new Error('no workflow task');
  const newRunId = await world.reset(workflowId, firstExecutionRunId, finish);
  await waitFor('the step to run again', async () => readsOf(workflowId)[1]);
  world.release();
  const log = await waitForIdle(reader, workflowId, 2);
  const [before, after] = readsOf(workflowId);
  expect(after?.context.events).toEqual(before?.context.events);
  expect(after?.context.scheduledEventId).toBe(before?.context.scheduledEventId);
  expect(after?.context.identityRunId).toBe(newRunId);
  const [start, message, end] = log.filter(({ type }) => /^(span|agent)\./.test(type));
  expect(start?.id).toContain(firstExecutionRunId);
  expect(message?.id).toBe(historyEventId(newRunId, before?.context.scheduledEventId ?? 0, 1));
  expect(end).toMatchObject({ model_request_start_id: start?.id });
});

test('an activity that is no model step of the run → refused', async () => {
  const { workflowId, firstExecutionRunId: runId } = await world.start('hello');
  await waitForIdle(reader, workflowId, 1);
  const steps = createStepReader({ ...world.deps });
  await expect(steps.readStep({ workflowId, runId, activityId: 'none' })).rejects.toThrow(
    /activity id none/,
  );
});

test('a chain of thousands of history events, cold and warm', { timeout: 120_000 }, async () => {
  const handle = await world.start({ metadata: { steps_per_run: '1' } });
  const { workflowId } = handle;
  for (let run = 0; run < 3; run += 1) {
    await world.stopWorker();
    const current = world.client.workflow.getHandle(workflowId);
    for (let batch = 0; batch < BATCHES; batch += 1) {
      await Promise.all(
        Array.from({ length: 100 }, () => current.signal('send', `${run}, ${batch}: ${TEXT}`)),
      );
    }
    await world.startWorker();
    await waitFor(`run ${run} to be followed`, async () => {
      const [last] = await reader.read(workflowId, { order: 'desc', limit: 1 });
      return last?.type === 'session.status_idle' && Number(last.position.slice(0, 5)) === run;
    });
  }
  await world.send(workflowId, 'bash x');
  await waitFor('the end', async () => {
    const [last] = await reader.read(workflowId, { order: 'desc', limit: 1 });
    return last?.type === 'session.status_idle' && last.position.startsWith('00003');
  });
  await timed('bare paged read of the first run', () =>
    world.client.workflow.getHandle(workflowId, handle.firstExecutionRunId).fetchHistory(),
  );
  const log = await timed('read, cold', () => reader.read(workflowId));
  await timed('last 20, backwards', () => reader.read(workflowId, { order: 'desc', limit: 20 }));
  await timed('session', () => reader.session(workflowId));
  const last = readsOf(workflowId).at(-1);
  if (last === undefined) throw new Error('no step');
  const steps = createStepReader({ ...world.deps });
  const cold = await timed('step, cold', () => steps.readStep(last.at));
  const warm = await timed('step, warm', () => steps.readStep(last.at));
  expect(warm).toEqual(cold);
  expect(log.length).toBeGreaterThan(300 * BATCHES);
  console.info(`${log.length} log events`);
  expect(cold.events).toEqual(log.slice(0, cold.events.length));

  await world.client.workflow.getHandle(workflowId).terminate();
  const given = await timed('tail, from the beginning', () => collect(reader.tail(workflowId)));
  const latest = new Map(given.map((event) => [event.position, event]));
  expect([...latest.values()]).toEqual(await reader.read(workflowId));
});

const BATCHES = 10;
const TEXT = 'x'.repeat(500);

async function timed<Result>(what: string, call: () => Promise<Result>): Promise<Result> {
  const started = performance.now();
  const result = await call();
  console.info(`${what}: ${(performance.now() - started).toFixed(1)} ms`);
  return result;
}
