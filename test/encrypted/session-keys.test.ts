import { Client, type WorkflowHandle } from '@temporalio/client';
import { decodeOptionalFailureToOptionalError } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDrover } from '../../client/connect-drover.ts';
import { rotateKeyRingFile } from '../../codec/manage-key-ring.ts';
import { createWorkerCodec, type PayloadKeys } from '../../codec/payload-codec.ts';
import { keyIdOf } from '../../codec/seal.ts';
import { createStepReader } from '../../log/step-reader.ts';
import { send } from '../../protocol/messages.ts';
import { MAX_EVENTS_BYTES } from '../../protocol/oversized.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { createClientConverter } from '../../workers/data-converter.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { createKeyRings, type KeyRings } from '../support/key-rings.ts';
import { waitFor } from '../support/wait-for.ts';

// Each worker that "takes over" has nothing of a session in memory: it replays the whole history.

const player = fromConversation(({ messages }) =>
  JSON.stringify(messages.at(-1)).includes('tool_result')
    ? says('Done.')
    : says([calls('bash', { command: 'true' })]),
);

let rings: KeyRings;
let harness: Harness;

beforeEach(async () => {
  rings = await createKeyRings();
});

afterEach(async () => {
  await harness.stop();
  await rings.remove();
});

async function begin(keys: PayloadKeys): Promise<WorkflowHandle> {
  harness = await startHarness({ player, keys });
  const handle = await harness.start({ initial_events: ['hello'] });
  await harness.untilIdle(handle);
  return handle;
}

/** Ends all that served a session, and serves it anew with other keys. */
async function takeOver(before: WorkflowHandle, keys: PayloadKeys): Promise<WorkflowHandle> {
  await harness.stop();
  harness = await startHarness({ player, keys, queues: harness });
  return harness.client.workflow.getHandle(before.workflowId);
}

/** It takes a message and answers it. */
async function answers(handle: WorkflowHandle): Promise<void> {
  const turns = () => countOf(handle, 'session.status_idle');
  const before = await turns();
  const updateId = crypto.randomUUID();
  // The server takes no update while a workflow task fails, until its next try.
  await waitFor(
    'it to take a message',
    () =>
      handle.executeUpdate(send, { args: ['again'], updateId }).then(
        () => true,
        (error: unknown) => {
          if (/Workflow Task in failed state/.test(String(Object(error).cause))) return false;
          throw error;
        },
      ),
    40_000,
  );
  await waitFor('another turn', async () => (await turns()) > before);
}

async function countOf(handle: WorkflowHandle, type: string): Promise<number> {
  const events = await harness.log.read(handle.workflowId);
  return events.filter((event) => event.type === type).length;
}

async function keysOf(handle: WorkflowHandle): Promise<(string | undefined)[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap((event) => {
    const { payloads } = event.activityTaskCompletedEventAttributes?.result ?? {};
    return (payloads ?? []).map(keyIdOf);
  });
}

/** Why its workflow task fails, once it does. */
function whyHeld(handle: WorkflowHandle): Promise<string> {
  return waitFor('its workflow task to fail', async () => {
    const { events } = await handle.fetchHistory();
    const failed = events?.findLast((event) => event.workflowTaskFailedEventAttributes);
    const failure = failed?.workflowTaskFailedEventAttributes?.failure;
    const converter = harness.client.options.loadedDataConverter;
    return (await decodeOptionalFailureToOptionalError(converter, failure))?.message;
  });
}

describe('keys of a session', () => {
  test('a rotation while it runs → the next payloads have the new key, all are read', async () => {
    const handle = await begin(rings.one);
    // Of any run: it may roll over meanwhile.
    const seen = new Set(await keysOf(handle));
    const { id } = await rotateKeyRingFile(rings.one.path, 0);
    await waitFor('the new key to encrypt', async () => {
      await answers(handle);
      for (const key of await keysOf(handle)) seen.add(key);
      return seen.has(id);
    });
    expect(seen.size).toBe(2);
    expect(await countOf(handle, 'session.error')).toBe(0);
    await answers(await takeOver(handle, rings.one));
  });

  test.each<[string, (rings: KeyRings) => PayloadKeys, RegExp]>([
    ['the key was lost', ({ one }) => one, /lacks payload key pk-.*newest copy of the ring/],
    ['another ring', ({ other }) => other, /is another one/],
    ['no ring', () => null, /no key ring here: set DROVER_PAYLOAD_KEYS/],
  ])(
    '%s → it waits, says why, loses nothing, and goes on with the key',
    async (_name, lost, words) => {
      const begun = await begin(rings.two);
      const held = await takeOver(begun, lost(rings));
      await held.signal('upgrade');
      expect(await whyHeld(held)).toMatch(words);
      const { status, raw } = await held.describe();
      expect(status.name).toBe('RUNNING');
      const attempt = raw.pendingWorkflowTask?.attempt ?? 0;
      expect(attempt).toBeLessThan(20);
      await answers(await takeOver(held, rings.two));
      expect(await countOf(held, 'session.error')).toBe(0);
      expect(await countOf(held, 'user.message')).toBe(2);
    },
  );

  test('a model step is never asked with a part of its log', async () => {
    const handle = await begin(rings.two);
    const { runId } = await handle.describe();
    const { events } = await handle.fetchHistory();
    const step = events?.find(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'respond',
    );
    const activityId = String(step?.activityTaskScheduledEventAttributes?.activityId);
    const read = (keys: PayloadKeys) =>
      createStepReader({
        service: harness.client.workflowService,
        namespace: 'default',
        payloadCodecs: [createWorkerCodec(keys)],
      }).readStep({ workflowId: handle.workflowId, runId, activityId });
    expect((await read(rings.two)).events[0]).toMatchObject({ type: 'user.message' });
    await expect(read(rings.one)).rejects.toThrow(/lacks payload key pk-/);
  });

  test('encryption turned on in the middle → old and new are one log', async () => {
    const clear = await begin(null);
    const handle = await takeOver(clear, rings.one);
    await answers(handle);
    const keys = await keysOf(handle);
    expect(keys[0]).toBeUndefined();
    expect(keys.at(-1)).toBeDefined();
    expect(await countOf(handle, 'user.message')).toBe(2);
    expect(await countOf(handle, 'agent.tool_result')).toBe(2);
    await answers(await takeOver(handle, rings.one));
  });
});

describe('a stranger’s payload', () => {
  /** A client with keys that the workers do not have. */
  function stranger(keys: PayloadKeys): Client {
    const { connection } = harness.client;
    return new Client({ connection, dataConverter: createClientConverter(keys) });
  }

  test('an update → refused in words, nothing recorded', async () => {
    const handle = await begin(rings.one);
    const before = (await handle.describe()).historyLength;
    const drover = createDrover(stranger(rings.other), 'here');
    const sending = drover.sessions.send(handle.workflowId, 'hello');
    // The refusal is encrypted with the workers' key, which the stranger lacks in turn.
    await expect(sending).rejects.toThrow(/key ring .*other is another one/);
    expect((await handle.describe()).historyLength).toBe(before);
    await answers(handle);
  });

  test('a signal → an error in the log; it goes on, also for who replays it', async () => {
    const handle = await begin(rings.one);
    await stranger(rings.other).workflow.getHandle(handle.workflowId).signal('send', 'hello');
    await waitFor('the error', async () => (await countOf(handle, 'session.error')) === 1);
    await answers(handle);
    await answers(await takeOver(handle, rings.two));
    expect(await countOf(handle, 'session.error')).toBe(1);
    expect(await countOf(handle, 'user.message')).toBe(3);
  });

  test('a start → fails in words, once', async () => {
    await begin(rings.one);
    const { workflowId } = await stranger(rings.other).workflow.start('session', {
      workflowId: `test-${crypto.randomUUID()}`,
      taskQueue: harness.taskQueue,
      args: ['hello'],
    });
    await expect(harness.client.workflow.getHandle(workflowId).result()).rejects.toMatchObject({
      cause: { message: expect.stringMatching(/^input: undecodable: the key ring .* is another/) },
    });
  });

  test('its memo and title hide no other session', async () => {
    const handle = await begin(rings.one);
    const drover = createDrover(harness.client, 'here', { taskQueue: harness.taskQueue });
    const client = stranger(rings.other);
    const theirs = createDrover(client, 'here', { taskQueue: 'nobody' });
    const { id } = await theirs.sessions.create({ title: 'secret' });
    const mine = await waitFor('both to be listed', async () => {
      const listed = await drover.sessions.list({ limit: 1_000 });
      const ids = listed.map((session) => session.id);
      return ids.includes(id) && ids.includes(handle.workflowId) && listed;
    });
    expect(mine.find((session) => session.id === id)?.title).toBeNull();
    await client.workflow.getHandle(id).terminate();
  });
});

describe('sizes', () => {
  test('as many bytes as may be sent at once are taken', async () => {
    const handle = await begin(rings.one);
    const room =
      MAX_EVENTS_BYTES -
      JSON.stringify({ type: 'user.message', content: [{ type: 'text', text: '' }] }).length;
    const drover = createDrover(harness.client, 'here');
    await drover.sessions.send(handle.workflowId, 'x'.repeat(room));
    await expect(drover.sessions.send(handle.workflowId, 'x'.repeat(room + 1))).rejects.toThrow(
      /over the limit/,
    );
  });

  test.each(['x', '"', '\u0001', '\u{1F600}'])(
    'a title of 200 × %j starts a session',
    async (character) => {
      harness = await startHarness({ player, keys: rings.one });
      const drover = createDrover(harness.client, 'here', { taskQueue: harness.taskQueue });
      const title = character.repeat(200 / character.length);
      const { id } = await drover.sessions.create({ title });
      await waitFor('its title', async () => {
        const listed = await drover.sessions.list({ limit: 100 });
        return listed.find((session) => session.id === id)?.title === title;
      });
    },
  );
});
