import type { WorkflowHandle } from '@temporalio/client';
import { afterEach, describe, expect, test } from 'vitest';
import { getSession, send } from '../../protocol/messages.ts';
import { calls, gate, says, scripted, text } from '../../rehearsal/script.ts';
import { type Harness, okHands, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

const asking = {
  tools: [
    {
      type: 'agent_toolset_20260401' as const,
      default_config: { permission_policy: { type: 'always_ask' as const } },
      configs: [{ name: 'read' as const, permission_policy: { type: 'always_allow' as const } }],
    },
  ],
};
const custom = {
  tools: [
    {
      type: 'custom' as const,
      name: 'weather',
      description: 'The weather',
      input_schema: { type: 'object' as const },
    },
  ],
};

let harness: Harness;
afterEach(() => harness.stop());

async function messagesOf(handle: WorkflowHandle): Promise<string[]> {
  const events = await harness.log.read(handle.workflowId);
  return events.flatMap((event) =>
    event.type === 'agent.message' ? [event.content.map(({ text: words }) => words).join('')] : [],
  );
}

function untilStopped(handle: WorkflowHandle, reason: string) {
  return waitFor(`stop reason ${reason}`, async () => {
    const session = await handle.query(getSession);
    return session.stop_reason?.type === reason && session;
  });
}

async function resultOf(handle: WorkflowHandle, call: string) {
  const events = await harness.log.read(handle.workflowId);
  const results = events.flatMap((event) =>
    event.type === 'agent.tool_result' && event.tool_use_id === call ? [event] : [],
  );
  expect(results).toHaveLength(1);
  const block = results[0]?.content?.[0];
  return { text: block?.type === 'text' ? block.text : '', isError: results[0]?.is_error === true };
}

describe('always_ask', () => {
  test('one allowed, one denied, one that needs no asking → each exactly one result', async () => {
    harness = await startHarness({
      player: scripted([
        says([
          calls('bash', { command: 'one' }, 'toolu_a'),
          calls('bash', { command: 'two' }, 'toolu_b'),
          calls('read', { file_path: 'x' }, 'toolu_c'),
        ]),
        says('Done.'),
      ]),
    });
    const handle = await harness.start({ initial_events: ['go'], agent: asking });
    const waiting = await untilStopped(handle, 'requires_action');
    expect(waiting.pending_actions).toEqual(['toolu_a', 'toolu_b']);
    expect(await harness.log.session(handle.workflowId)).toEqual(waiting);
    await handle.executeUpdate(send, {
      args: [
        [
          { type: 'user.tool_confirmation', tool_use_id: 'toolu_a', result: 'allow' },
          {
            type: 'user.tool_confirmation',
            tool_use_id: 'toolu_b',
            result: 'deny',
            deny_message: 'too risky',
          },
        ],
      ],
    });
    await untilStopped(handle, 'end_turn');
    expect(await resultOf(handle, 'toolu_a')).toEqual({ text: 'ok: one', isError: false });
    expect(await resultOf(handle, 'toolu_b')).toEqual({
      text: 'Denied by the user: too risky',
      isError: true,
    });
    expect((await resultOf(handle, 'toolu_c')).isError).toBe(false);
    const idle = (await harness.log.read(handle.workflowId)).flatMap((event) =>
      event.type === 'session.status_idle' ? [event.stop_reason] : [],
    );
    expect(idle).toEqual([
      { type: 'requires_action', event_ids: ['toolu_a', 'toolu_b'] },
      { type: 'end_turn' },
    ]);
  });

  test('an interrupt while it waits → the calls are closed, a message after it starts anew', async () => {
    harness = await startHarness({
      player: scripted([
        says([calls('bash', { command: 'one' }, 'toolu_a'), calls('weather', {}, 'toolu_w')]),
        says('Fine.'),
      ]),
    });
    const weather = { type: 'custom', name: 'weather', description: 'Tells it.' } as const;
    const tools = [...asking.tools, { ...weather, input_schema: { type: 'object' as const } }];
    const handle = await harness.start({ initial_events: ['go'], agent: { ...asking, tools } });
    await untilStopped(handle, 'requires_action');
    await handle.executeUpdate(send, { args: [[{ type: 'user.interrupt' }, 'do nothing then']] });
    await untilStopped(handle, 'end_turn');
    const asked = JSON.stringify(await resultOf(handle, 'toolu_a'));
    expect(asked).toMatch(/"isError":true/);
    expect(asked).toMatch(/before this call was allowed; it did not run/);
    // The client may have run it.
    expect(JSON.stringify(await resultOf(handle, 'toolu_w'))).toMatch(
      /whether it ran is not known/,
    );
    expect(await messagesOf(handle)).toEqual(['Fine.']);
  });

  test('a message while it waits → queued until the call is settled', async () => {
    harness = await startHarness({
      player: scripted([says([calls('bash', { command: 'one' }, 'toolu_a')]), says('Both done.')]),
    });
    const handle = await harness.start({ initial_events: ['go'], agent: asking });
    await untilStopped(handle, 'requires_action');
    await handle.executeUpdate(send, { args: ['and another thing'] });
    expect((await handle.query(getSession)).stop_reason?.type).toBe('requires_action');
    expect(harness.model.requests).toHaveLength(1);
    await handle.executeUpdate(send, {
      args: [{ type: 'user.tool_confirmation', tool_use_id: 'toolu_a', result: 'allow' }],
    });
    await untilStopped(handle, 'end_turn');
    expect(harness.model.requests).toHaveLength(2);
  });
});

test('a custom tool → waits for the client, whose result the model sees', async () => {
  harness = await startHarness({
    player: scripted([says([calls('weather', {}, 'toolu_w')]), says('It rains.')]),
  });
  const handle = await harness.start({ initial_events: ['go'], agent: custom });
  const waiting = await untilStopped(handle, 'requires_action');
  expect(waiting.pending_actions).toEqual(['toolu_w']);
  await handle.executeUpdate(send, {
    args: [{ type: 'user.custom_tool_result', custom_tool_use_id: 'toolu_w', content: 'rain' }],
  });
  await untilStopped(handle, 'end_turn');
  expect(JSON.stringify(harness.model.requests[1]?.body.messages.at(-1))).toContain('rain');
});

describe('an interrupt', () => {
  test('while the model speaks → what was said is kept', async () => {
    const held = gate(6);
    const words = 'I will now count to one hundred: one two three four five six seven';
    harness = await startHarness({
      player: scripted([says(words, { pace: held.pace, deltaCharacters: 10 }), says('Stopped.')]),
    });
    const handle = await harness.start({ initial_events: ['count'] });
    await held.reached;
    await handle.executeUpdate(send, { args: [{ type: 'user.interrupt' }] });
    await untilStopped(handle, 'end_turn');
    const [said] = await messagesOf(handle);
    expect(said).not.toBe('');
    expect(words.startsWith(said ?? 'x')).toBe(true);
    await handle.executeUpdate(send, { args: ['why did you stop?'] });
    await waitFor('the next answer', async () => (await messagesOf(handle)).length === 2);
  });

  test('while tools run → every call gets one result, the session is idle', async () => {
    const started = Promise.withResolvers<void>();
    harness = await startHarness({
      player: scripted([
        says([
          text('Two slow ones.'),
          calls('bash', { command: 'slow' }, 'toolu_s'),
          calls('bash', { command: 'slow' }, 'toolu_t'),
        ]),
      ]),
      hands: okHands({
        execute: async () => {
          started.resolve();
          throw await heartbeatUntilCancelled();
        },
      }),
    });
    const handle = await harness.start({ initial_events: ['go'] });
    await started.promise;
    await handle.executeUpdate(send, { args: [{ type: 'user.interrupt' }] });
    await untilStopped(handle, 'end_turn');
    expect(await resultOf(handle, 'toolu_s')).toMatchObject({ isError: true });
    expect(await resultOf(handle, 'toolu_t')).toMatchObject({ isError: true });
  });

  test('while nothing runs → nothing to stop, and an idle after it', async () => {
    harness = await startHarness({ player: scripted([says('Hi.')]) });
    const handle = await harness.start({ initial_events: ['hi'] });
    await harness.untilIdle(handle);
    await handle.executeUpdate(send, { args: [{ type: 'user.interrupt' }] });
    await waitFor('an idle after the interrupt', async () => {
      const events = await harness.log.read(handle.workflowId);
      const interrupt = events.findIndex(({ type }) => type === 'user.interrupt');
      return events.slice(interrupt).some(({ type }) => type === 'session.status_idle');
    });
  });
});

/** What an activity throws that only stops when it is cancelled. */
async function heartbeatUntilCancelled(): Promise<unknown> {
  const { Context } = await import('@temporalio/activity');
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), 100);
  try {
    return await context.cancelled;
  } catch (error) {
    return error;
  } finally {
    clearInterval(beat);
  }
}
