import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { connectDrover, type Drover, DroverError } from '../../client/index.ts';
import { upgrade } from '../../protocol/messages.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { fromConversation, says } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

const TOOLS = [
  {
    type: 'agent_toolset_20260401',
    default_config: { permission_policy: { type: 'always_ask' } },
  },
] as const;

/** Says how many messages it was sent; asks for a tool when the last one says so. */
const player = fromConversation(({ messages }) => {
  const last = JSON.stringify(messages.at(-1));
  if (last.includes('use a tool')) {
    return says([{ type: 'tool_use', name: 'bash', input: { command: 'true' } }]);
  }
  if (last.includes('slowly')) {
    return says('one two three four five', {
      deltaCharacters: 4,
      pace: () => new Promise((resolve) => setTimeout(resolve, 300)),
    });
  }
  return says(`heard ${messages.length}`);
});

let harness: Harness;
let drover: Drover;

beforeAll(async () => {
  harness = await startHarness({ player });
  drover = await connectDrover({
    payloadKeys: inject('payloadKeys') ?? null,
    address: inject('temporalAddress'),
    taskQueue: harness.taskQueue,
  });
});

afterAll(async () => {
  await drover.close();
  await harness.stop();
});

function create(text: string, options: { readonly id?: string } = {}) {
  return drover.sessions.create(
    {
      agent: { name: 'test', tools: [...TOOLS] },
      environment: { task_queue: harness.handsQueue },
      initial_events: text,
    },
    options,
  );
}

async function createIdle(text: string) {
  const session = await create(text);
  const [after] = session.event_ids;
  if (after === undefined) throw new Error('no initial event');
  const idle = await drover.sessions.waitUntilIdle(session.id, { after });
  return { ...session, idle };
}

async function failure(request: Promise<unknown>): Promise<DroverError> {
  const error = await request.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof DroverError) return error;
  throw new Error(`expected a DroverError, got ${String(error)}`);
}

describe('a session through the client', () => {
  test('create → idle → read, get, list', async () => {
    const { id, event_ids, idle } = await createIdle('hello');
    expect(idle.stop_reason).toEqual({ type: 'end_turn' });
    const events = await drover.sessions.events(id);
    expect(events[0]).toMatchObject({ type: 'user.message', id: event_ids[0] });
    expect(events.find(({ type }) => type === 'agent.message')).toMatchObject({
      content: [{ text: 'heard 1' }],
    });
    expect(await drover.sessions.get(id)).toMatchObject({ id, status: 'idle' });
    const listing = await waitFor('the listing', async () =>
      (await drover.sessions.list({ status: 'idle', agent: 'test' })).find(
        (session) => session.id === id,
      ),
    );
    expect(listing).toMatchObject({ title: 'hello', agent: 'test', stop_reason: 'end_turn' });
  });

  test('the Web UI calls it by its title, the list also after a roll-over', async () => {
    const title = '*A* title';
    const { id, run_id } = await drover.sessions.create({
      title,
      environment: { task_queue: harness.handsQueue },
    });
    const handle = harness.client.workflow.getHandle(id);
    // The server does not carry it over into the next run.
    expect(await (await handle.describe()).staticSummary()).toBe('\\*A\\* title');
    await handle.signal(upgrade);
    await waitFor('the roll-over', async () => (await handle.describe()).runId !== run_id);
    const rows = await waitFor('the listing', async () => {
      const found = (await drover.sessions.list()).filter((session) => session.id === id);
      return found.some(({ status }) => status === 'idle') && found;
    });
    expect(rows).toMatchObject([{ title, status: 'idle' }]);
  });

  test('the wait is for an idle after the event, not for the present one', async () => {
    const { id, idle } = await createIdle('hello');
    const { event_ids } = await drover.sessions.send(id, 'again');
    const next = await drover.sessions.waitUntilIdle(id, { after: String(event_ids[0]) });
    expect(next.position > idle.position).toBe(true);
    const idles = await drover.sessions.events(id, { types: ['session.status_idle'] });
    expect(idles.map((event) => event.id)).toEqual([idle.id, next.id]);
  });

  test('the wait ends with a typed error when its time is up', async () => {
    const { id, idle } = await createIdle('hello');
    const error = await failure(
      drover.sessions.waitUntilIdle(id, { after: idle.id, timeoutMs: 300 }),
    );
    expect(error.code).toBe('wait_timeout');
    expect(error.message).toContain(id);
  });

  test('the same update id is recorded once', async () => {
    const { id } = await createIdle('hello');
    const updateId = randomUUID();
    const first = await drover.sessions.send(id, 'once', { id: updateId });
    const second = await drover.sessions.send(id, 'once', { id: updateId });
    expect(second).toEqual(first);
    await drover.sessions.waitUntilIdle(id, { after: String(first.event_ids[0]) });
    const messages = await drover.sessions.events(id, { types: ['user.message'] });
    expect(messages).toHaveLength(2);
  });

  test('a tail resumes after a position and sees what is sent meanwhile', async () => {
    const { id, idle } = await createIdle('hello');
    const seen: SessionEvent[] = [];
    const abort = new AbortController();
    const tailing = (async () => {
      const tail = drover.sessions.tail(id, { after: idle.position, signal: abort.signal });
      for await (const event of tail) {
        seen.push(event);
        if (event.type === 'session.status_idle') abort.abort();
      }
    })();
    await drover.sessions.send(id, 'again');
    await tailing;
    expect(seen.map(({ type }) => type)).toContain('agent.message');
    expect(seen.some((event) => event.position <= idle.position)).toBe(false);
  });

  test('a tool that asks → approve → done; a second answer is refused by name', async () => {
    const { id, idle } = await createIdle('use a tool');
    expect(idle.stop_reason.type).toBe('requires_action');
    const [call] = (await drover.sessions.get(id)).pending_actions;
    const { event_ids } = await drover.sessions.confirm(id, String(call), 'allow');
    const done = await drover.sessions.waitUntilIdle(id, { after: String(event_ids[0]) });
    expect(done.stop_reason.type).toBe('end_turn');
    const error = await failure(drover.sessions.confirm(id, String(call), 'deny'));
    expect(error.code).toBe('invalid_input');
    expect(error.message).toContain(String(call));
  });

  test('previews carry the id that the event gets', async () => {
    const { id } = await create('speak slowly');
    const watchers = [collectPreviews(id), collectPreviews(id)];
    for (const previews of await Promise.all(watchers)) {
      const start = previews.find(({ type }) => type === 'event_start');
      const [message] = await drover.sessions.events(id, { types: ['agent.message'] });
      expect(start).toEqual({
        type: 'event_start',
        event: { type: 'agent.message', id: message?.id },
      });
      const text = previews.map((event) =>
        event.type === 'event_delta' ? event.delta.content.text : '',
      );
      expect('one two three four five').toContain(text.join(''));
      expect(text.join('')).not.toBe('');
    }
  });

  async function collectPreviews(id: string) {
    const abort = new AbortController();
    const previews = [];
    void drover.sessions
      .tail(id, { types: ['session.status_idle'], signal: abort.signal })
      .next()
      .finally(() => abort.abort());
    for await (const event of drover.sessions.previews(id, { signal: abort.signal })) {
      previews.push(event);
    }
    return previews;
  }

  test('archive ends it, twice is success, and nothing can be sent any more', async () => {
    const { id } = await createIdle('hello');
    await drover.sessions.archive(id);
    await waitFor('the session to end', async () => {
      return (await drover.sessions.get(id)).status === 'terminated';
    });
    await drover.sessions.archive(id);
    const error = await failure(drover.sessions.send(id, 'anyone?'));
    expect(error.code).toBe('session_ended');
    expect(await drover.sessions.events(id)).not.toHaveLength(0);
  });
});

describe('bad input', () => {
  test.each([
    ['send', (id: string) => drover.sessions.send(id, 'hello')],
    ['get', (id: string) => drover.sessions.get(id)],
    ['events', (id: string) => drover.sessions.events(id)],
    ['tail', (id: string) => drover.sessions.tail(id).next()],
    ['previews', (id: string) => drover.sessions.previews(id).next()],
    ['archive', (id: string) => drover.sessions.archive(id)],
    ['waitUntilIdle', (id: string) => drover.sessions.waitUntilIdle(id, { after: 'x' })],
  ])('unknown session → %s says so', async (_name, request) => {
    const error = await failure(request('no-such-session'));
    expect(error.code).toBe('not_found');
    expect(error.message).toContain('no-such-session');
  });

  test('an id that is taken', async () => {
    const { id } = await create('hello');
    const error = await failure(create('hello', { id }));
    expect(error.code).toBe('already_exists');
    expect(error.message).toContain(id);
  });

  test.each([
    ['unknown event type', [{ type: 'user.shout' }], /events\[0\]/],
    ['missing field', [{ type: 'user.tool_confirmation', result: 'allow' }], /tool_use_id/],
    ['empty content', [{ type: 'user.message', content: [] }], /events\[0\]\.content/],
    ['no event', [], /at least one event/],
  ])('%s → the field is named and nothing is recorded', async (_name, events, field) => {
    const { id } = await createIdle('hello');
    const before = await drover.sessions.events(id);
    const error = await failure(drover.sessions.send(id, events as never));
    expect(error.code).toBe('invalid_input');
    expect(error.message).toMatch(field);
    expect(await drover.sessions.events(id)).toEqual(before);
  });

  test('an event over the limit is refused before it is sent', async () => {
    const { id } = await createIdle('hello');
    const before = await drover.sessions.events(id);
    const error = await failure(drover.sessions.send(id, ['small', 'x'.repeat(1_600_000)]));
    expect(error.code).toBe('event_too_large');
    expect(error.message).toMatch(/events\[1\] \(user\.message\).*1500000/);
    expect(await drover.sessions.events(id)).toEqual(before);
  });

  test('events that are too large together are refused', async () => {
    const { id } = await createIdle('hello');
    const half = 'x'.repeat(800_000);
    const error = await failure(drover.sessions.send(id, [half, half]));
    expect(error.code).toBe('event_too_large');
    expect(error.message).toContain('all 2 events together');
  });

  test('waiting after an event that the session does not have', async () => {
    const { id } = await createIdle('hello');
    const error = await failure(drover.sessions.waitUntilIdle(id, { after: 'sevt_unknown_0' }));
    expect(error.code).toBe('invalid_input');
    expect(error.message).toContain('sevt_unknown_0');
  });

  test('a namespace that does not exist', async () => {
    const stranger = await connectDrover({
      address: inject('temporalAddress'),
      namespace: 'no-such-namespace',
    });
    try {
      const error = await failure(stranger.sessions.create('hello'));
      expect(error.code).toBe('namespace_not_found');
      expect(error.message).toContain('no-such-namespace');
    } finally {
      await stranger.close();
    }
  });
});
