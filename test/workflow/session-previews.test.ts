import { heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { afterEach, describe, expect, test } from 'vitest';
import { createDrover } from '../../client/connect-drover.ts';
import type { PreviewEvent } from '../../client/previews.ts';
import type { HandActivities } from '../../protocol/hand.ts';
import type { Player } from '../../rehearsal/player.ts';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { type Harness, okHands, startHarness } from '../support/harness.ts';

describe('previews', () => {
  let harness: Harness;
  afterEach(() => harness.stop());

  /** Starts a session and looks on until a preview is as wanted. */
  async function lookOn(
    options: { player?: Player; hands?: Partial<HandActivities>; handsQueue?: string },
    isWanted: (event: PreviewEvent) => boolean,
  ): Promise<{ found: PreviewEvent | undefined; next: () => Promise<PreviewEvent | undefined> }> {
    const bash = says([calls('bash', { command: 'a' }, 'toolu_a')]);
    harness = await startHarness({
      player: options.player ?? scripted([bash, says('Done.')]),
      hands: okHands(options.hands),
    });
    const task_queue = options.handsQueue ?? harness.handsQueue;
    const handle = await harness.start({ environment: { task_queue }, initial_events: ['go'] });
    const { sessions } = createDrover(harness.client, 'the suite', {
      taskQueue: harness.taskQueue,
    });
    const previews = sessions.previews(handle.workflowId);
    const next = async (wanted = isWanted) => {
      for (;;) {
        const { value, done } = await previews.next();
        if (done || value === undefined || wanted(value)) return value ?? undefined;
      }
    };
    return { found: await next(), next: () => next(() => true) };
  }

  const isWaiting = ({ type }: PreviewEvent) => type === 'session_waiting';

  /** Runs until it is let go. */
  function held(details: unknown) {
    const end = Promise.withResolvers<void>();
    const wait = async () => {
      const beat = setInterval(() => heartbeat(details), 100);
      await end.promise;
      clearInterval(beat);
    };
    return { wait, letGo: () => end.resolve() };
  }

  test('what a hand waits for, and that it is over', async () => {
    const { wait, letGo } = held({ waiting_for: 'its image' });
    const { found, next } = await lookOn(
      {
        hands: {
          provision: async ({ hand }) => {
            await wait();
            return { hand: { ...hand, provider: 'fake', instance: 'i' } };
          },
        },
      },
      isWaiting,
    );
    expect(found).toEqual({
      type: 'session_waiting',
      reason: 'making the sandbox waits for: its image',
    });
    letGo();
    expect(await next()).toEqual({ type: 'session_waiting', reason: null });
  });

  test('why a hand is tried again, while it is', async () => {
    const { found } = await lookOn(
      {
        hands: {
          provision: async () => {
            throw ApplicationFailure.create({ message: 'no quota', nextRetryDelay: '3 seconds' });
          },
        },
      },
      isWaiting,
    );
    expect(found).toMatchObject({
      reason: expect.stringMatching(/^making the sandbox is tried again \(attempt 2\): no quota$/),
    });
  });

  test('why the model is asked again, while it is', async () => {
    const overloaded = {
      type: 'error',
      status: 529,
      headers: { 'retry-after': '2' },
      body: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
    } as const;
    const { found } = await lookOn({ player: scripted([overloaded, says('Here.')]) }, isWaiting);
    expect(found).toMatchObject({
      reason: expect.stringMatching(/the model request is tried again \(attempt 2\): .*verloaded/),
    });
  });

  test('a queue that no worker serves', async () => {
    const { found } = await lookOn({ handsQueue: 'drover-hands-nobody' }, isWaiting);
    expect(found).toMatchObject({
      reason: expect.stringMatching(/making the sandbox waits for a worker.*"drover-hands-nobody"/),
    });
  }, 20_000);

  test('what a running call says', async () => {
    const { wait, letGo } = held({ call_id: 'toolu_a', tail: '41 of 42\n', output_bytes: 9 });
    const { found } = await lookOn(
      {
        hands: {
          execute: async ({ call }) => {
            await wait();
            return { events: [{ type: 'agent.tool_result', tool_use_id: call.id, content: [] }] };
          },
        },
      },
      ({ type }) => type === 'tool_progress',
    );
    letGo();
    expect(found).toEqual({
      type: 'tool_progress',
      tool_use_id: 'toolu_a',
      tail: '41 of 42\n',
      output_bytes: 9,
    });
  });
});
