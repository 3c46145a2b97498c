import { afterEach, describe, expect, test } from 'vitest';
import type { ExecuteInput, ReleaseInput } from '../../protocol/hand.ts';
import { getSession, send, upgrade } from '../../protocol/messages.ts';
import { calls, fromConversation, says, scripted } from '../../rehearsal/script.ts';
import { type Harness, okHands, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

const TOOLSET = { type: 'agent_toolset_20260401' } as const;

describe('several hands in one session', () => {
  let harness: Harness;
  let executed: ExecuteInput[];
  let released: ReleaseInput[];
  afterEach(() => harness.stop());

  function watchedHands() {
    executed = [];
    released = [];
    const { execute } = okHands();
    return okHands({
      execute: async (input) => {
        executed.push(input);
        return execute(input);
      },
      release: async (input) => void released.push(input),
    });
  }

  const toolsOf = (request: number) =>
    JSON.parse(JSON.stringify(harness.model.requests[request]?.body.tools ?? []));

  test('a call goes to the hand it names, without the name in its input', async () => {
    harness = await startHarness({
      player: scripted([
        says([
          calls('bash', { command: 'a', hand: 'gpu' }),
          calls('bash', { command: 'b' }),
          calls('bash', { command: 'c', hand: 'main' }),
        ]),
        says('Done.'),
      ]),
      hands: watchedHands(),
    });
    const task_queue = harness.handsQueue;
    const handle = await harness.start({
      environment: undefined,
      initial_events: ['go'],
      hands: { main: { task_queue }, gpu: { task_queue, description: 'has a GPU' } },
    });
    const session = await harness.untilIdle(handle);
    const ran = executed.map(({ hand, call }) => [hand.name, call.input]);
    expect(ran.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))).toEqual([
      ['gpu', { command: 'a' }],
      ['main', { command: 'b' }],
      ['main', { command: 'c' }],
    ]);
    expect(Object.keys(session.hands).sort()).toEqual(['gpu', 'main']);
    expect(session.environments['gpu']?.definition.description).toBe('has a GPU');
    expect(await harness.log.session(handle.workflowId)).toEqual(session);
    const { hand } = toolsOf(0)[0].input_schema.properties;
    expect(hand).toMatchObject({
      enum: ['main', 'gpu'],
      description: expect.stringMatching(/main; gpu \(has a GPU\)/),
    });
    const uses = await harness.log.read(handle.workflowId, { types: ['agent.tool_use'] });
    expect(uses[0]).toMatchObject({ input: { command: 'a', hand: 'gpu' } });
  });

  test('one hand → the tools are as they were', async () => {
    harness = await startHarness({ player: scripted([says('Hi.')]) });
    await harness.untilIdle(await harness.start({ initial_events: ['go'] }));
    expect(JSON.stringify(toolsOf(0))).toContain('command');
    expect(JSON.stringify(toolsOf(0))).not.toContain('Which machine');
  });

  test('a hand that there is not → an error result that names those there are', async () => {
    harness = await startHarness({
      player: scripted([says([calls('bash', { command: 'a', hand: 'tpu' })]), says('Oh.')]),
      hands: watchedHands(),
    });
    const handle = await harness.start({
      initial_events: ['go'],
      hands: { gpu: { task_queue: harness.handsQueue } },
    });
    await harness.untilIdle(handle);
    expect(executed).toEqual([]);
    const [result] = await harness.log.read(handle.workflowId, { types: ['agent.tool_result'] });
    expect(result).toMatchObject({ is_error: true });
    expect(JSON.stringify(result)).toMatch(/no hand \\"tpu\\".*The hands are: main, gpu/);
  });

  test('a roll-over → carries every hand, and none is made anew', async () => {
    harness = await startHarness({
      player: fromConversation((request) =>
        request.messages.at(-1)?.role === 'user' &&
        !JSON.stringify(request.messages.at(-1)).includes('tool_result')
          ? says([calls('bash', { command: 'a', hand: 'gpu' }), calls('bash', { command: 'b' })])
          : says('Done.'),
      ),
      hands: watchedHands(),
    });
    const handle = await harness.start({
      initial_events: ['go'],
      hands: { gpu: { task_queue: harness.handsQueue } },
    });
    await harness.untilIdle(handle);
    const before = await handle.query(getSession);
    const { runId } = await handle.describe();
    await handle.signal(upgrade);
    await waitFor('another run', async () => (await handle.describe()).runId !== runId);
    expect(await handle.query(getSession)).toEqual(before);
    expect(await harness.log.session(handle.workflowId)).toEqual(before);
    await handle.executeUpdate(send, { args: ['again'] });
    await waitFor('the second turn', () => executed.length === 4);
    expect(new Set(executed.map(({ hand }) => hand.instance)).size).toBe(2);
    expect(executed[2]?.hand.chain_id).toBe(handle.firstExecutionRunId);
  });

  test('a registered environment for another hand → resolved into the session', async () => {
    harness = await startHarness({
      player: scripted([says([calls('bash', { command: 'a', hand: 'gpu' })]), says('Done.')]),
      hands: watchedHands(),
    });
    const id = crypto.randomUUID();
    await harness.client.workflow.start('environment', {
      workflowId: `environment-${id}`,
      taskQueue: harness.taskQueue,
      args: [{ name: 'gpu', task_queue: harness.handsQueue }],
    });
    const handle = await harness.start({ initial_events: ['go'], hands: { gpu: id } });
    const session = await harness.untilIdle(handle);
    expect(session.environments['gpu']).toMatchObject({ id, version: 1 });
    expect(executed[0]?.hand.name).toBe('gpu');
    expect(await harness.log.session(handle.workflowId)).toEqual(session);
  });

  test('a custom tool that names a hand → runs there, and waits for nobody', async () => {
    harness = await startHarness({
      player: scripted([says([calls('tap', { x: 1, hand: 'left' })]), says('Done.')]),
      hands: watchedHands(),
    });
    const tap = { type: 'custom', name: 'tap', description: 'Taps.', hand: 'phone' } as const;
    const handle = await harness.start({
      initial_events: ['go'],
      agent: { tools: [TOOLSET, { ...tap, input_schema: { type: 'object' } }] },
      hands: { phone: { task_queue: harness.handsQueue } },
    });
    const session = await harness.untilIdle(handle);
    expect(session.stop_reason).toEqual({ type: 'end_turn' });
    expect(executed.map(({ hand, call }) => [hand.name, call.input])).toEqual([
      ['phone', { x: 1, hand: 'left' }],
    ]);
    // A hand with tools of its own is not offered to the toolset.
    expect(JSON.stringify(toolsOf(0))).not.toContain('Which machine');
    const types = (await harness.log.read(handle.workflowId)).map(({ type }) => type);
    expect(types).toContain('agent.tool_use');
    expect(types).not.toContain('agent.custom_tool_use');
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    [
      'a tool on a hand that the session has not',
      {
        agent: {
          tools: [
            {
              type: 'custom',
              name: 'tap',
              description: '',
              hand: 'phone',
              input_schema: { type: 'object' },
            },
          ],
        },
      },
      /tool "tap".*hand "phone".*it has main/,
    ],
    ['main twice', { hands: { main: {} } }, /input\.hands\.main: is given twice/],
    ['a name that is none', { hands: { 'A B': {} } }, /A B/],
    ['a queue of others', { hands: { gpu: { task_queue: 'x' } } }, /hands\.gpu\.task_queue/],
    ['half a hand', { hands: { gpu: { type: 'hand' } } }, /hands\.gpu\.session_id/],
  ])('refused in words: %s', async (_name, input, expected) => {
    harness = await startHarness({ player: scripted([]) });
    const handle = await harness.start(input);
    const error = await handle.result().catch((reason: unknown) => reason);
    expect(String((error as Error).cause)).toMatch(expected);
  });

  describe('a hand that another session passed on', () => {
    async function borrow(player: Parameters<typeof startHarness>[0]['player'], isLost = false) {
      const hands = watchedHands();
      const execute = hands.execute;
      harness = await startHarness({
        player,
        hands: {
          ...hands,
          execute: async (input) => ({
            ...(await execute(input)),
            ...(isLost ? { lost: true as const } : {}),
          }),
        },
      });
      const passed = {
        type: 'hand',
        session_id: 'the owner',
        chain_id: 'its chain',
        name: 'main',
        generation: 3,
        provider: 'fake',
        instance: 'i3',
        task_queue: harness.handsQueue,
      } as const;
      const handle = await harness.start({ initial_events: ['go'], hands: { shared: passed } });
      await waitFor('its end', async () => {
        const { stop_reason } = await handle.query(getSession);
        return stop_reason !== null;
      });
      return { handle, passed };
    }

    test('is called as it is, under the id of the session that calls, and never released', async () => {
      const { handle, passed } = await borrow(
        scripted([says([calls('bash', { command: 'a', hand: 'shared' })]), says('Done.')]),
      );
      const { type: _type, task_queue: _queue, ...instance } = passed;
      expect(executed).toMatchObject([{ hand: instance, session_id: handle.workflowId }]);
      expect(executed[0]?.hand).toEqual(instance);
      const session = await handle.query(getSession);
      expect(session.hands).toEqual({ shared: instance });
      expect(await harness.log.session(handle.workflowId)).toEqual(session);
      const { runId } = await handle.describe();
      await handle.signal(upgrade);
      await waitFor('another run', async () => (await handle.describe()).runId !== runId);
      expect((await harness.log.session(handle.workflowId)).hands).toEqual({ shared: instance });
      expect((await handle.query(getSession)).hands).toEqual({ shared: instance });
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
      expect(released).toEqual([]);
    });

    test('lost → later calls do not run, and say whose it is', async () => {
      const use = (command: string) => says([calls('bash', { command, hand: 'shared' })]);
      const { handle } = await borrow(scripted([use('a'), use('b'), says('Done.')]), true);
      expect(executed).toHaveLength(1);
      const results = await harness.log.read(handle.workflowId, { types: ['agent.tool_result'] });
      expect(JSON.stringify(results[1])).toMatch(
        /Nothing ran: hand \\"shared\\" was lost\. It is hand \\"main\\" of session the owner/,
      );
      const session = await handle.query(getSession);
      expect(session.hands).toEqual({});
      expect(await harness.log.session(handle.workflowId)).toEqual(session);
    });
  });
});
