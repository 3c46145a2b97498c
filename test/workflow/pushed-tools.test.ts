import { Context } from '@temporalio/activity';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterEach, expect, inject, test } from 'vitest';
import type { PushedTools } from '../../protocol/pushed-tool.ts';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

// Custom tools that somebody's own worker serves: it knows nothing of this project but a name.

let harness: Harness;
let stopWorker = async (): Promise<void> => {};
afterEach(async () => {
  await stopWorker();
  await harness.stop();
});

let queue = '';

async function serve(execute: PushedTools['execute']): Promise<void> {
  queue = `drover-tools-${crypto.randomUUID().slice(0, 8)}`;
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  const worker = await Worker.create({
    connection,
    taskQueue: queue,
    activities: { execute },
    // So that it hears soon that it is to stop.
    defaultHeartbeatThrottleInterval: '100 milliseconds',
  });
  const running = worker.run();
  stopWorker = async () => {
    worker.shutdown();
    await running;
    await connection.close();
    stopWorker = async () => {};
  };
}

function agent() {
  const input_schema = { type: 'object' as const };
  const tool = { type: 'custom' as const, name: 'weather', description: 'The weather' };
  return { tools: [{ ...tool, input_schema, task_queue: queue }] };
}

async function run() {
  harness = await startHarness({
    player: scripted([says([calls('weather', { city: 'Oslo' }, 'toolu_w')]), says('Done.')]),
  });
  const handle = await harness.start({ agent: agent(), initial_events: ['go'] });
  const session = await harness.untilIdle(handle);
  return { session, events: await harness.log.read(handle.workflowId) };
}

const resultsOf = (events: readonly { type: string }[]) =>
  events.filter(({ type }) => type === 'agent.tool_result');

test.each([
  ['text', () => 'rain', { content: [{ type: 'text', text: 'rain' }] }],
  ['nothing', () => undefined, { content: [] }],
  ['JSON', () => ({ mm: 4 }), { content: [{ type: 'text', text: '{"mm":4}' }] }],
  [
    'content that says it failed',
    () => ({ content: 'no such city', is_error: true }),
    { content: [{ type: 'text', text: 'no such city' }], is_error: true },
  ],
  [
    'more text than a model can use',
    () => 'x'.repeat(150_000),
    { content: [{ text: expect.stringContaining('[50000 more characters are left out]') }] },
  ],
])('%s → the result of the call', async (_what, returned, expected) => {
  const asked: unknown[] = [];
  await serve(async (name, input) => {
    asked.push([name, input]);
    return returned();
  });
  const { session, events } = await run();
  expect(asked).toEqual([['weather', { city: 'Oslo' }]]);
  expect(session.stop_reason).toEqual({ type: 'end_turn' });
  expect(resultsOf(events)).toMatchObject([{ tool_use_id: 'toolu_w', ...expected }]);
  expect(JSON.stringify(harness.model.requests[1]?.body.messages.at(-1))).toContain('toolu_w');
});

test('a tool that throws → an error result, and it is not called again', async () => {
  let called = 0;
  await serve(async () => {
    called += 1;
    throw new Error('the station is on fire');
  });
  const { events } = await run();
  expect(called).toBe(1);
  expect(resultsOf(events)).toMatchObject([
    { is_error: true, content: [{ text: expect.stringContaining('the station is on fire') }] },
  ]);
});

test('an interrupt → nobody waits for the tool', async () => {
  let isCancelled = false;
  await serve(async () => {
    const beat = setInterval(() => Context.current().heartbeat(), 100);
    await Context.current()
      .cancelled.catch(() => {
        isCancelled = true;
      })
      .finally(() => clearInterval(beat));
    return 'too late';
  });
  harness = await startHarness({
    player: scripted([says([calls('weather', {}, 'toolu_w')])]),
  });
  const handle = await harness.start({ agent: agent(), initial_events: ['go'] });
  await waitFor('the call', async () => {
    const { raw } = await handle.describe();
    return raw.pendingActivities?.some(({ activityId }) => activityId === 'tool:toolu_w');
  });
  await handle.signal('send', { type: 'user.interrupt' });
  await harness.untilIdle(handle);
  await waitFor('its cancellation', () => isCancelled);
  await waitFor('its answer', async () => {
    return ((await handle.describe()).raw.pendingActivities ?? []).length === 0;
  });
  expect(resultsOf(await harness.log.read(handle.workflowId))).toMatchObject([
    { tool_use_id: 'toolu_w', is_error: true },
  ]);
});

test.each([['drover-hands-x'], ['drover-vault'], ['somebody-elses'], ['drover-tools']])(
  'a tool of queue %s → refused',
  async (name) => {
    queue = name;
    harness = await startHarness({ player: scripted([]) });
    const handle = await harness.start({ agent: agent(), initial_events: ['go'] });
    await expect(handle.result()).rejects.toMatchObject({
      cause: { message: expect.stringContaining('must start with drover-tools-') },
    });
  },
);
