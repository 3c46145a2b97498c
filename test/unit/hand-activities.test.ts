import { ActivityCancellationDetails } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { describe, expect, test } from 'vitest';
import { createHandActivities } from '../../activities/hands/activities.ts';
import type {
  ExecuteOptions,
  ExecuteOutcome,
  HandProvider,
} from '../../activities/hands/provider.ts';
import { CallConflictError } from '../../hand/hand.ts';
import { EnvironmentDefinition } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { ExecuteProgress, ProvisionInput } from '../../protocol/hand.ts';
import type { SessionResourceSpec } from '../../protocol/resource.ts';
import { waitFor } from '../support/wait-for.ts';

const HAND = {
  session_id: 's',
  chain_id: 'chain',
  name: 'main',
  generation: 1,
  provider: 'fake',
  instance: 'i1',
};
const INPUT = { hand: HAND, session_id: 's', call: { id: 'toolu_1', name: 'bash', input: {} } };
const SAID: ExecuteOutcome = { content: [{ type: 'text', text: 'said' }], is_error: false };

/** Says nothing about activities that fail on purpose. */
function activityEnvironment(): MockActivityEnvironment {
  return new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
}

function activitiesWith(provider: Partial<HandProvider>) {
  const unused = async (): Promise<never> => {
    throw new Error('not for this test');
  };
  const fake = { provision: unused, execute: unused, release: unused, ...provider };
  return createHandActivities({ providers: { fake, other: fake } });
}

/** An `execute` that ends when the test says so. */
function pending() {
  const { promise, resolve, reject } = Promise.withResolvers<ExecuteOutcome>();
  const calls: ExecuteOptions[] = [];
  const execute = (_input: unknown, options: ExecuteOptions): Promise<ExecuteOutcome> => {
    calls.push(options);
    options.detach.addEventListener('abort', () => reject(options.detach.reason));
    return promise;
  };
  return { execute, resolve, options: () => waitFor('the call', () => calls[0]) };
}

describe('execute', () => {
  test('returns the result as the event of its call', async () => {
    const { execute } = activitiesWith({ execute: async () => SAID });
    expect(await activityEnvironment().run(execute, INPUT)).toEqual({
      events: [
        {
          type: 'agent.tool_result',
          tool_use_id: 'toolu_1',
          content: SAID.content,
          is_error: false,
        },
      ],
    });
  });

  test("another session's hand that is lost → says whose it is", async () => {
    const { execute } = activitiesWith({
      execute: async () => ({ ...SAID, is_error: true, lost: true }),
    });
    const result = await activityEnvironment().run(execute, { ...INPUT, session_id: 'borrower' });
    expect(result).toMatchObject({ lost: true, events: [{ is_error: true }] });
    expect(JSON.stringify(result)).toMatch(/said.*hand \\"main\\" of session s\. Further calls/);
  });

  test('a lost hand is a result, and says so to the workflow', async () => {
    const { execute } = activitiesWith({
      execute: async () => ({ content: [], is_error: true, lost: true }),
    });
    expect(await activityEnvironment().run(execute, INPUT)).toEqual({
      events: [{ type: 'agent.tool_result', tool_use_id: 'toolu_1', content: [], is_error: true }],
      lost: true,
    });
  });

  test('heartbeats from the start, at least every 500 ms, with the progress', async () => {
    const call = pending();
    const environment = activityEnvironment();
    const beats: { at: number; progress: ExecuteProgress }[] = [];
    environment.on('heartbeat', (progress: ExecuteProgress) =>
      beats.push({ at: performance.now(), progress }),
    );
    const startedAt = performance.now();
    const result = environment.run(activitiesWith({ execute: call.execute }).execute, INPUT);
    const options = await call.options();
    await waitFor('the first beat', () => beats.length >= 1);
    expect(beats[0]?.at).toBeLessThan(startedAt + 500);
    expect(beats[0]?.progress).toEqual({ call_id: 'toolu_1', tail: '', output_bytes: 0 });
    options.onProgress({ tail: 'half', output_bytes: 4 });
    await waitFor('four beats', () => beats.length >= 4);
    const gaps = beats.slice(1).map(({ at }, index) => at - (beats[index]?.at ?? 0));
    expect(Math.max(...gaps)).toBeLessThan(500);
    expect(beats.at(-1)?.progress).toEqual({ call_id: 'toolu_1', tail: 'half', output_bytes: 4 });
    call.resolve(SAID);
    await result;
    const count = beats.length;
    // Another call's beats tell that time enough has passed.
    const other = pending();
    const clock = activityEnvironment();
    let ticks = 0;
    clock.on('heartbeat', () => {
      ticks += 1;
    });
    const ticking = clock.run(activitiesWith({ execute: other.execute }).execute, INPUT);
    await waitFor('two beats of another call', () => ticks >= 2);
    expect(beats).toHaveLength(count);
    await other.options();
    other.resolve(SAID);
    await ticking;
  });

  test('cancelled by the workflow → stops the call and returns its result', async () => {
    const call = pending();
    const environment = activityEnvironment();
    const result = environment.run(activitiesWith({ execute: call.execute }).execute, INPUT);
    const options = await call.options();
    environment.cancel('CANCELLED', new ActivityCancellationDetails({ cancelRequested: true }));
    await waitFor('the interrupt', () => options.interrupt.aborted);
    expect(options.detach.aborted).toBe(false);
    call.resolve({ content: [{ type: 'text', text: 'so far' }], is_error: true });
    expect(await result).toMatchObject({ events: [{ is_error: true }] });
  });

  test.each([
    { name: 'the worker stops', details: { workerShutdown: true } },
    { name: 'its time is over', details: { timedOut: true } },
    { name: 'the workflow is gone', details: { notFound: true } },
    { name: 'it is paused', details: { paused: true } },
  ])('$name → leaves the call running and fails to be tried again', async ({ details }) => {
    const call = pending();
    const environment = activityEnvironment();
    const result = environment.run(activitiesWith({ execute: call.execute }).execute, INPUT);
    const options = await call.options();
    const failed = expect(result).rejects.toMatchObject({
      type: FAILURE.sandboxUnavailable,
      nonRetryable: false,
    });
    environment.cancel('CANCELLED', new ActivityCancellationDetails(details));
    await failed;
    expect(options.interrupt.aborted).toBe(false);
  });

  test('same key, other input → a failure that is not tried again', async () => {
    const { execute } = activitiesWith({
      execute: async () => {
        throw new CallConflictError('made before with another input');
      },
    });
    await expect(activityEnvironment().run(execute, INPUT)).rejects.toMatchObject({
      type: FAILURE.sandboxJournalConflict,
      nonRetryable: true,
      message: 'made before with another input',
    });
  });
});

test('release heartbeats while a workspace is kept', async () => {
  const environment = activityEnvironment();
  let beats = 0;
  environment.on('heartbeat', () => {
    beats += 1;
  });
  const { release } = activitiesWith({
    release: async () => {
      await waitFor('two heartbeats', () => beats === 2);
      return undefined;
    },
  });
  await environment.run(release, { hand: HAND, keep_workspace: true });
  expect(beats).toBe(2);
});

describe('the environment picks the provider', () => {
  const provisionWith = (provider: string) => {
    const { provision } = activitiesWith({ provision: async () => ({ instance: 'i9' }) });
    const definition = EnvironmentDefinition.parse({ provider });
    const { session_id, chain_id, name, generation } = HAND;
    return activityEnvironment().run(provision, {
      hand: { session_id, chain_id, name, generation },
      environment: { id: null, version: null, definition },
      resources: [],
    });
  };

  test('known → a hand that names it', async () => {
    expect(await provisionWith('other')).toEqual({
      hand: {
        session_id: 's',
        chain_id: 'chain',
        name: 'main',
        generation: 1,
        provider: 'other',
        instance: 'i9',
      },
    });
  });

  test.each<[SessionResourceSpec['type'][] | undefined, RegExp]>([
    [undefined, /"other" does not support resources of type file, github_repository; .* none/],
    [['file'], /of type github_repository; it supports file/],
    [['file', 'github_repository'], /^made$/],
  ])('resources, when it supports %j → %s', async (supported, expected) => {
    const { provision } = activitiesWith({
      ...(supported === undefined ? {} : { supportsResources: supported }),
      provision: async () => ({ instance: 'made', expires_at: '2026-01-01T00:00:00Z' }),
    });
    const { instance: _instance, provider: _provider, ...hand } = HAND;
    const definition = EnvironmentDefinition.parse({ provider: 'other' });
    const input: ProvisionInput = {
      hand,
      environment: { id: null, version: null, definition },
      resources: [
        { type: 'file', file_id: 'f' },
        { type: 'github_repository', url: 'https://h/r' },
      ],
    };
    const made: ReturnType<typeof provision> = activityEnvironment().run(provision, input);
    const said = await made.then(
      ({ hand: { instance }, expires_at }) => {
        expect(expires_at).toBe('2026-01-01T00:00:00Z');
        return instance;
      },
      (error: Error) => error.message,
    );
    expect(said).toMatch(expected);
  });

  test.each(['moon', 'constructor', '__proto__'])(
    '%s → a failure that names the known ones',
    async (provider) => {
      await expect(provisionWith(provider)).rejects.toMatchObject({
        type: FAILURE.sandboxUnknownProvider,
        nonRetryable: true,
        message: expect.stringMatching(/no hand provider ".*"; it has: fake, other\./),
      });
    },
  );

  test('a hand of a provider that this worker has not → the same', async () => {
    const { execute } = activitiesWith({});
    const input = { ...INPUT, hand: { ...HAND, provider: 'moon' } };
    await expect(activityEnvironment().run(execute, input)).rejects.toMatchObject({
      type: FAILURE.sandboxUnknownProvider,
    });
  });
});
