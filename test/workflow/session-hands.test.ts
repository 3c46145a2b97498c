import { Context, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { afterEach, describe, expect, test } from 'vitest';
import { FAILURE } from '../../protocol/failure.ts';
import type { ProvisionInput, ReleaseInput } from '../../protocol/hand.ts';
import { getSession } from '../../protocol/messages.ts';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { type Harness, okHands, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

describe('hands of a session', () => {
  let harness: Harness;
  afterEach(() => harness.stop());

  test('no tool call → no hand', async () => {
    const provisioned: string[] = [];
    harness = await startHarness({
      player: scripted([says('Hi.')]),
      hands: okHands({
        provision: async ({ hand }) => {
          provisioned.push(hand.name);
          return { hand: { ...hand, provider: 'fake', instance: 'x' } };
        },
      }),
    });
    await harness.untilIdle(await harness.start({ initial_events: ['hi'] }));
    expect(provisioned).toEqual([]);
  });

  test('resources and the chain of the session → go with every provisioning of main', async () => {
    const inputs: ProvisionInput[] = [];
    harness = await startHarness({
      player: scripted([
        says([calls('bash', { command: 'a' })]),
        says([calls('bash', { command: 'b' })]),
        says('Done.'),
      ]),
      hands: okHands({
        provision: async (input) => {
          inputs.push(input);
          return { hand: { ...input.hand, provider: 'fake', instance: `i${inputs.length}` } };
        },
        execute: async ({ call, hand }) => ({
          events: [{ type: 'agent.tool_result', tool_use_id: call.id, content: [] }],
          ...(hand.generation === 1 ? { lost: true as const } : {}),
        }),
      }),
    });
    const resources = [{ type: 'file', file_id: 'file_1' }];
    const handle = await harness.start({ initial_events: ['go'], resources });
    const session = await harness.untilIdle(handle);
    const chain = { session_id: handle.workflowId, chain_id: handle.firstExecutionRunId };
    expect(inputs).toMatchObject([
      { hand: { ...chain, generation: 1 }, resources },
      { hand: { ...chain, generation: 2 }, resources },
    ]);
    expect(session.resources).toEqual(resources);
    expect(await harness.log.session(handle.workflowId)).toEqual(session);
  });

  test('two calls that both report the loss → one new generation, made at the next call', async () => {
    const generations: number[] = [];
    harness = await startHarness({
      player: scripted([
        says([calls('bash', { command: 'a' }), calls('bash', { command: 'b' })]),
        says([calls('bash', { command: 'c' })]),
        says('Done.'),
      ]),
      hands: okHands({
        provision: async ({ hand }) => {
          generations.push(hand.generation);
          return { hand: { ...hand, provider: 'fake', instance: `i${hand.generation}` } };
        },
        execute: async ({ hand, call }) => {
          const lost = hand.generation === 1;
          return {
            events: [
              {
                type: 'agent.tool_result',
                tool_use_id: call.id,
                content: [{ type: 'text', text: lost ? 'the sandbox was lost' : 'ok' }],
                is_error: lost,
              },
            ],
            ...(lost ? { lost: true as const } : {}),
          };
        },
      }),
    });
    const handle = await harness.start({ initial_events: ['go'] });
    const session = await harness.untilIdle(handle);
    expect(generations).toEqual([1, 2]);
    expect(session.stop_reason).toEqual({ type: 'end_turn' });
    expect(session.hands['main']?.generation).toBe(2);
    expect(await harness.log.session(handle.workflowId)).toEqual(session);
  });

  test('a hand that cannot be made → every call an error result in words, the session goes on', async () => {
    harness = await startHarness({
      player: scripted([
        says([calls('bash', { command: 'a' }), calls('bash', { command: 'b' })]),
        says('I have no sandbox.'),
      ]),
      hands: okHands({
        provision: async () => {
          throw ApplicationFailure.nonRetryable('install bubblewrap', 'Sandbox.IsolationMissing');
        },
      }),
    });
    const handle = await harness.start({ initial_events: ['go'] });
    const session = await harness.untilIdle(handle);
    expect(session.stop_reason).toEqual({ type: 'end_turn' });
    const texts = JSON.stringify(await harness.log.read(handle.workflowId));
    expect(texts.match(/nothing ran: install bubblewrap/g)).toHaveLength(2);
  });

  test('a call whose activity fails for good → an error result, the session goes on', async () => {
    harness = await startHarness({
      player: scripted([says([calls('bash', { command: 'a' }, 'toolu_f')]), says('Oh.')]),
      hands: okHands({
        execute: async () => {
          throw ApplicationFailure.nonRetryable(
            'another input under the same key',
            'Sandbox.JournalConflict',
          );
        },
      }),
    });
    const handle = await harness.start({ initial_events: ['go'] });
    await harness.untilIdle(handle);
    const events = await harness.log.read(handle.workflowId);
    const result = events.find((event) => event.type === 'agent.tool_result');
    expect(JSON.stringify(result)).toMatch(/toolu_f.*another input/);
  });

  test('idle for longer than idle_release_seconds → released, workspace kept', async () => {
    const released: ReleaseInput[] = [];
    harness = await startHarness({
      player: scripted([says([calls('bash', { command: 'a' })]), says('Done.')]),
      hands: okHands({
        release: async (input) => {
          released.push(input);
        },
      }),
    });
    const handle = await harness.start({
      initial_events: ['go'],
      environment: {
        task_queue: harness.handsQueue,
        idle_release_seconds: 1,
        config: { snapshot: { max_mib: 5 } },
      },
    });
    await harness.untilIdle(handle);
    await waitFor('the release', () => released.length === 1);
    const snapshot = { max_mib: 5, excludes: [] };
    expect(released[0]).toMatchObject({ keep_workspace: true, snapshot });
    await waitFor('no hand', async () => {
      const { hands } = await handle.query(getSession);
      return Object.keys(hands).length === 0;
    });
    expect((await harness.log.session(handle.workflowId)).hands).toEqual({});
  });

  test('cancel → hands released, the session terminated in the log', async () => {
    let isReleased = false;
    harness = await startHarness({
      player: scripted([says([calls('bash', { command: 'a' })]), says('Done.')]),
      hands: okHands({
        release: async () => {
          isReleased = true;
        },
      }),
    });
    const handle = await harness.start({ initial_events: ['go'] });
    await harness.untilIdle(handle);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    expect(isReleased).toBe(true);
    const events = await harness.log.read(handle.workflowId);
    expect(events.at(-1)?.type).toBe('session.status_terminated');
    expect((await harness.log.session(handle.workflowId)).status).toBe('terminated');
  });

  test('a hand that is at a later generation than a reset session knows → goes on after it', async () => {
    const generations: number[] = [];
    harness = await startHarness({
      player: scripted([says([calls('bash', { command: 'a' })]), says('Done.')]),
      hands: okHands({
        provision: async ({ hand }) => {
          generations.push(hand.generation);
          if (hand.generation > 3) return { hand: { ...hand, provider: 'fake', instance: 'x' } };
          const type = FAILURE.sandboxSuperseded;
          const message = 'at generation 3 already';
          throw ApplicationFailure.create({ type, message, nonRetryable: true, details: [3] });
        },
      }),
    });
    const handle = await harness.start({ initial_events: ['go'] });
    await harness.untilIdle(handle);
    expect(generations).toEqual([1, 4]);
    expect((await handle.query(getSession)).hands['main']?.generation).toBe(4);
    expect(JSON.stringify(await harness.log.read(handle.workflowId))).toContain('ok: a');
  });

  test('cancel in mid-call → its result is waited for, then the hand is released', async () => {
    const order: string[] = [];
    harness = await startHarness({
      player: scripted([says([calls('bash', { command: 'a' }, 'toolu_a')])]),
      hands: okHands({
        execute: async ({ call }) => {
          order.push('started');
          const beat = setInterval(() => heartbeat(), 200);
          await Context.current().cancelled.catch(() => order.push('stopped'));
          clearInterval(beat);
          const content = [{ type: 'text', text: 'half of it' }] as const;
          return {
            events: [{ type: 'agent.tool_result', tool_use_id: call.id, content: [...content] }],
          };
        },
        release: async () => {
          order.push('released');
        },
      }),
    });
    const handle = await harness.start({ initial_events: ['go'] });
    await waitFor('the call', () => order.length === 1);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    expect(order).toEqual(['started', 'stopped', 'released']);
    const events = await harness.log.read(handle.workflowId);
    expect(events.slice(-2).map(({ type }) => type)).toEqual([
      'agent.tool_result',
      'session.status_terminated',
    ]);
    expect(JSON.stringify(events.at(-2))).toContain('half of it');
  });
});
