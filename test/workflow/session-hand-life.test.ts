import { Context, heartbeat } from '@temporalio/activity';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterEach, describe, expect, test } from 'vitest';
import type { ReleaseInput } from '../../protocol/hand.ts';
import { getSession, send, upgrade } from '../../protocol/messages.ts';
import { calls, fromConversation, gate, says, scripted } from '../../rehearsal/script.ts';
import { type Harness, okHands, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

/** Margin of its release: half of it, since it is so short. */
const LIFE_MS = 3_000;

let harness: Harness;
afterEach(() => harness.stop());

/** Hands that end by themselves after a while, and what was done with them in order. */
function shortLived(overrides: Parameters<typeof okHands>[0] = {}) {
  const seen: string[] = [];
  const released: ReleaseInput[] = [];
  const hands = okHands({
    provision: async ({ hand }) => {
      seen.push(`provision ${hand.generation}`);
      const instance = { ...hand, provider: 'fake', instance: `i${hand.generation}` };
      return { hand: instance, expires_at: new Date(Date.now() + LIFE_MS).toISOString() };
    },
    release: async (input) => {
      released.push(input);
      seen.push(`release ${input.hand.generation}`);
    },
    ...overrides,
  });
  return { hands, seen, released };
}

const use = (command: string) => says([calls('bash', { command })]);

async function shortestTimerMs(handle: WorkflowHandleWithFirstExecutionRunId): Promise<number> {
  const { events } = await handle.fetchHistory();
  const timers = (events ?? []).flatMap((event) => event.timerStartedEventAttributes ?? []);
  const times = timers.map(({ startToFireTimeout: timeout }) => {
    return Number(timeout?.seconds ?? 0) * 1_000 + (timeout?.nanos ?? 0) / 1_000_000;
  });
  return Math.min(...times);
}

async function openTimers(handle: WorkflowHandleWithFirstExecutionRunId): Promise<number> {
  const { events } = await handle.fetchHistory();
  const count = (key: 'timerStartedEventAttributes' | 'timerFiredEventAttributes') =>
    (events ?? []).filter((event) => event[key]).length;
  const cancelled = (events ?? []).filter((event) => event.timerCanceledEventAttributes).length;
  return count('timerStartedEventAttributes') - count('timerFiredEventAttributes') - cancelled;
}

describe('a hand near the end of its life', () => {
  test('while idle → released with its workspace before that, made anew by the next call', async () => {
    const { hands, seen, released } = shortLived();
    harness = await startHarness({
      player: scripted([use('a'), says('Done.'), use('b'), says('Done.')]),
      hands,
    });
    const handle = await harness.start({ initial_events: ['go'] });
    await harness.untilIdle(handle);
    await waitFor('the release', () => released.length === 1);
    expect(seen).toEqual(['provision 1', 'release 1']);
    // Compared by what was asked for: a busy machine may be late with it.
    expect(await shortestTimerMs(handle)).toBeLessThanOrEqual(0.5 * LIFE_MS);
    expect(released[0]).toMatchObject({ keep_workspace: true, hand: { instance: 'i1' } });
    await waitFor('no timer', async () => (await openTimers(handle)) === 0);
    expect((await handle.query(getSession)).hands).toEqual({});
    expect((await harness.log.session(handle.workflowId)).hands).toEqual({});
    await handle.executeUpdate(send, { args: ['again'] });
    await waitFor('the next one', () => seen.length === 3);
    expect(seen).toEqual(['provision 1', 'release 1', 'provision 2']);
  });

  test('idle release earlier → that, and no timer is left', async () => {
    const { hands, released } = shortLived({
      provision: async ({ hand }) => ({
        hand: { ...hand, provider: 'fake', instance: 'i' },
        expires_at: new Date(Date.now() + 3_600_000).toISOString(),
      }),
    });
    harness = await startHarness({ player: scripted([use('a'), says('Done.')]), hands });
    const environment = { task_queue: harness.handsQueue, idle_release_seconds: 1 };
    const handle = await harness.start({ initial_events: ['go'], environment });
    await waitFor('the release', () => released.length === 1);
    await waitFor('no timer', async () => (await openTimers(handle)) === 0);
    expect(released).toHaveLength(1);
  });

  test('while a call runs → not before the call has ended', async () => {
    const { hands, seen } = shortLived({
      execute: async ({ call }) => {
        const beat = setInterval(() => heartbeat(), 200);
        await new Promise((resolve) => setTimeout(resolve, LIFE_MS));
        clearInterval(beat);
        seen.push('call ended');
        return { events: [{ type: 'agent.tool_result', tool_use_id: call.id, content: [] }] };
      },
    });
    const held = gate(3);
    harness = await startHarness({
      player: scripted([use('a'), says('Done.', { pace: held.pace })]),
      hands,
    });
    await harness.start({ initial_events: ['go'] });
    // The model still speaks: it need not end for that.
    await waitFor('the release', () => seen.length === 3);
    held.open();
    expect(seen).toEqual(['provision 1', 'call ended', 'release 1']);
  });

  test('after an interrupt of the turn that made it → still released in time', async () => {
    const { hands, released } = shortLived({
      execute: async ({ call }) => {
        const beat = setInterval(() => heartbeat(), 100);
        await Context.current().cancelled.catch(() => {});
        clearInterval(beat);
        return { events: [{ type: 'agent.tool_result', tool_use_id: call.id, content: [] }] };
      },
    });
    harness = await startHarness({ player: scripted([use('a')]), hands });
    const handle = await harness.start({ initial_events: ['go'] });
    await waitFor('the hand', async () => 'main' in (await handle.query(getSession)).hands);
    await handle.executeUpdate(send, { args: [{ type: 'user.interrupt' }] });
    await harness.untilIdle(handle);
    await waitFor('the release', () => released.length === 1);
  });

  test('after a roll-over → still released in time', async () => {
    const { hands, released } = shortLived();
    harness = await startHarness({ player: scripted([use('a'), says('Done.')]), hands });
    const handle = await harness.start({ initial_events: ['go'] });
    await harness.untilIdle(handle);
    const { runId } = await handle.describe();
    await handle.signal(upgrade);
    await waitFor('another run', async () => (await handle.describe()).runId !== runId);
    await waitFor('the release', () => released.length === 1);
    expect(released[0]?.keep_workspace).toBe(true);
  });

  test('a call that comes while it is released → waits, and runs on the next one', async () => {
    const releasing = Promise.withResolvers<void>();
    const { hands, seen } = shortLived();
    harness = await startHarness({
      player: scripted([use('a'), says('Done.'), use('b'), says('Done.')]),
      hands: {
        ...hands,
        release: async (input) => {
          await hands.release(input);
          const beat = setInterval(() => heartbeat(), 200);
          await releasing.promise;
          clearInterval(beat);
          seen.push('released');
        },
      },
    });
    const handle = await harness.start({ initial_events: ['go'] });
    await waitFor('the release', () => seen.includes('release 1'));
    const { runId } = await handle.describe();
    await handle.signal(upgrade);
    await handle.executeUpdate(send, { args: ['again'] });
    await waitFor('the model to call', () => harness.model.requests.length === 3);
    expect((await handle.describe()).runId).toBe(runId);
    releasing.resolve();
    await waitFor('the call', () => harness.model.requests.length === 4);
    expect(seen).toEqual(['provision 1', 'release 1', 'released', 'provision 2']);
  });
});

test('a roll-over that is due while a hand is released → comes after it', async () => {
  const releasing = Promise.withResolvers<void>();
  const { hands, released } = shortLived({
    provision: async ({ hand }) => ({
      hand: { ...hand, provider: 'fake', instance: 'i' },
      expires_at: new Date(Date.now() + 100).toISOString(),
    }),
  });
  // More steps than a run of the suite takes, none of which needs the hand.
  const player = fromConversation((request) => {
    const step = request.messages.filter(({ role }) => role === 'assistant').length;
    if (step === 0) return use('a');
    return step < 60 ? says([calls('no_such_tool', {})]) : says('Done.');
  });
  harness = await startHarness({
    player,
    hands: {
      ...hands,
      release: async (input) => {
        await hands.release(input);
        const beat = setInterval(() => heartbeat(), 200);
        await releasing.promise;
        clearInterval(beat);
      },
    },
  });
  const handle = await harness.start({ initial_events: ['go'] });
  const { runId } = await handle.describe();
  await waitFor('many steps', () => harness.model.requests.length > 40);
  expect(released).toHaveLength(1);
  expect((await handle.describe()).runId).toBe(runId);
  releasing.resolve();
  await waitFor('another run', async () => (await handle.describe()).runId !== runId);
  expect(released).toHaveLength(1);
}, 60_000);

describe('an idle session', () => {
  const pending = async (handle: WorkflowHandleWithFirstExecutionRunId) => ({
    timers: await openTimers(handle),
    activities: (await handle.describe()).raw.pendingActivities?.length ?? 0,
  });

  test('without a hand → nothing is pending', async () => {
    harness = await startHarness({ player: scripted([says('Hi.')]) });
    const handle = await harness.start({ initial_events: ['go'] });
    await harness.untilIdle(handle);
    expect(await pending(handle)).toEqual({ timers: 0, activities: 0 });
  });

  test('with a hand → one timer, for its release; nothing after that', async () => {
    harness = await startHarness({ player: scripted([use('a'), says('Done.')]) });
    const environment = { task_queue: harness.handsQueue, idle_release_seconds: 3 };
    const handle = await harness.start({ initial_events: ['go'], environment });
    await harness.untilIdle(handle);
    expect(await pending(handle)).toEqual({ timers: 1, activities: 0 });
    await waitFor('the release', async () => {
      const { hands } = await handle.query(getSession);
      return Object.keys(hands).length === 0;
    });
    expect(await pending(handle)).toEqual({ timers: 0, activities: 0 });
  });
});

describe('the end of a session', () => {
  test('releases every hand it ever used, and what was kept of those it has no more', async () => {
    const { hands, released } = shortLived();
    harness = await startHarness({
      player: scripted([
        says([calls('bash', { command: 'a' }), calls('bash', { command: 'b', hand: 'gpu' })]),
        says('Done.'),
      ]),
      hands: {
        ...hands,
        provision: async ({ hand }) => ({ hand: { ...hand, provider: 'fake', instance: 'i' } }),
      },
    });
    const { handsQueue: task_queue } = harness;
    const handle = await harness.start({
      environment: { task_queue, idle_release_seconds: 1 },
      hands: { gpu: { task_queue }, unused: { task_queue } },
      initial_events: ['go'],
    });
    await waitFor('the idle release', () => released.length === 1);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    const chain_id = handle.firstExecutionRunId;
    const [first, ...last] = released;
    expect(first).toMatchObject({ keep_workspace: true, hand: { name: 'main', generation: 1 } });
    last.sort((a, b) => (a.hand.name < b.hand.name ? -1 : 1));
    expect(last).toMatchObject([
      { keep_workspace: false, hand: { name: 'gpu', generation: 1, instance: 'i' } },
      { keep_workspace: false, hand: { name: 'main', generation: 2, instance: null, chain_id } },
    ]);
    expect(last[1]?.hand.provider).toBe('local');
  });

  test('cancelled while a hand is made → it is released as well', async () => {
    const { hands, seen, released } = shortLived({
      provision: async () => {
        seen.push('provision');
        const beat = setInterval(() => heartbeat(), 200);
        await new Promise((resolve) => setTimeout(resolve, 500));
        clearInterval(beat);
        throw ApplicationFailure.nonRetryable('half of it is there');
      },
    });
    harness = await startHarness({ player: scripted([use('a')]), hands });
    const handle = await harness.start({ initial_events: ['go'] });
    await waitFor('provisioning', () => seen.length === 1);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    expect(released).toMatchObject([
      { keep_workspace: false, hand: { generation: 1, instance: null } },
    ]);
  });
});

describe('provisioning', () => {
  test('not over in the time allowed → an error result that says what it waited for', async () => {
    let isOver = false;
    harness = await startHarness({
      player: scripted([use('a'), says('Oh.')]),
      hands: okHands({
        provision: async () => {
          const beat = setInterval(() => heartbeat({ waiting_for: 'a node with a GPU' }), 100);
          await waitFor('the end of the test', () => isOver);
          clearInterval(beat);
          throw new Error('unused');
        },
      }),
    });
    const handle = await harness.start({ initial_events: ['go'] });
    const pending = await waitFor('a heartbeat', async () => {
      const { raw } = await handle.describe();
      const [activity] = raw.pendingActivities ?? [];
      return activity?.heartbeatDetails ? activity : undefined;
    });
    const allowed = pending.activityOptions?.scheduleToCloseTimeout?.seconds;
    expect(Number(allowed)).toBe(30 * 60);
    // Half an hour would be long for a test.
    await harness.client.workflowService.updateActivityOptions({
      namespace: 'default',
      execution: { workflowId: handle.workflowId },
      id: pending.activityId ?? '',
      activityOptions: { scheduleToCloseTimeout: { seconds: 2 as never } },
      updateMask: { paths: ['schedule_to_close_timeout'] },
    });
    await harness.untilIdle(handle);
    isOver = true;
    const [result] = await harness.log.read(handle.workflowId, { types: ['agent.tool_result'] });
    expect(JSON.stringify(result)).toMatch(
      /could not be made, nothing ran: it was not ready within 30 minutes; last it waited for: a node with a GPU/,
    );
  });

  test('tried again → told in the log', async () => {
    let attempts = 0;
    harness = await startHarness({
      player: scripted([use('a'), says('Done.')]),
      hands: okHands({
        provision: async ({ hand }) => {
          attempts += 1;
          if (attempts === 1) throw ApplicationFailure.create({ message: 'no quota left' });
          return { hand: { ...hand, provider: 'fake', instance: 'i' } };
        },
      }),
    });
    const handle = await harness.start({ initial_events: ['go'] });
    await harness.untilIdle(handle);
    const [error] = await harness.log.read(handle.workflowId, { types: ['session.error'] });
    expect(error).toMatchObject({
      error: {
        message: expect.stringMatching(/make the sandbox again: no quota left/),
        retry_status: { type: 'retrying' },
      },
    });
  });
});
