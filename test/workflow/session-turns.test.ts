import { afterEach, describe, expect, test } from 'vitest';
import { send } from '../../protocol/messages.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import type { RehearsalBlock, Turn } from '../../rehearsal/player.ts';
import { calls, gate, says, scripted, text } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

const toolset = [{ type: 'agent_toolset_20260401' as const }];

describe('a turn', () => {
  let harness: Harness;

  afterEach(() => harness.stop());

  async function play(turns: readonly Turn[], input: Record<string, unknown> = {}) {
    harness = await startHarness({ player: scripted(turns) });
    const handle = await harness.start({ initial_events: ['hello'], ...input });
    const session = await harness.untilIdle(handle);
    return { handle, session, events: await harness.log.read(handle.workflowId) };
  }

  test('a message → one answer, idle with end_turn', async () => {
    const { events, session } = await play([says('Hi there.')]);
    expect(events.map(({ type }) => type)).toEqual([
      'user.message',
      'session.status_running',
      'span.model_request_start',
      'agent.message',
      'span.model_request_end',
      'session.status_idle',
    ]);
    expect(session.stop_reason).toEqual({ type: 'end_turn' });
    expect(session.usage.output_tokens).toBeGreaterThan(0);
  });

  test('the query and the projection → the same resource', async () => {
    const { handle, session } = await play(
      [says([calls('bash', { command: 'ls' })]), says('Done.')],
      { title: 'A title', metadata: { team: 'x' }, agent: { name: 'a', tools: toolset } },
    );
    expect(await harness.log.session(handle.workflowId)).toEqual(session);
    expect(Object.keys(session.hands)).toEqual(['main']);
  });

  test('three tool uses of one answer → run side by side, one result each, then the next step', async () => {
    const { events } = await play([
      says([
        text('Three at once.'),
        calls('bash', { command: 'one' }, 'toolu_1'),
        calls('bash', { command: 'two' }, 'toolu_2'),
        calls('bash', { command: 'three' }, 'toolu_3'),
      ]),
      says('Done.'),
    ]);
    expect(resultsOf(events)).toEqual(
      new Map([
        ['toolu_1', 'ok: one'],
        ['toolu_2', 'ok: two'],
        ['toolu_3', 'ok: three'],
      ]),
    );
    expect(harness.model.requests).toHaveLength(2);
    const last = harness.model.requests[1]?.body.messages.at(-1);
    expect(last?.role).toBe('user');
    expect(last?.content).toHaveLength(3);
  });

  test('a message while the model speaks → answered in the same turn, after that answer', async () => {
    const held = gate(3);
    harness = await startHarness({
      player: scripted([says('First answer.', { pace: held.pace }), says('Second answer.')]),
    });
    const handle = await harness.start({ initial_events: ['one'] });
    await held.reached;
    await handle.executeUpdate(send, { args: ['two'] });
    held.open();
    await waitFor('the second request', () => harness.model.requests.length === 2);
    await harness.untilIdle(handle);
    const roles = harness.model.requests[1]?.body.messages.map(({ role }) => role);
    expect(roles).toEqual(['user', 'assistant', 'user']);
    const events = await harness.log.read(handle.workflowId);
    expect(events.filter(({ type }) => type === 'session.status_idle')).toHaveLength(1);
  });

  test('a refusal → idle with refusal', async () => {
    const { session } = await play([says('I cannot', { stop_reason: 'refusal' })]);
    expect(session.stop_reason).toEqual({ type: 'refusal' });
  });

  test('pause_turn → the model is asked again', async () => {
    const search = { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: {} };
    const { session } = await play([
      says([text('Looking.'), search as RehearsalBlock], { stop_reason: 'pause_turn' }),
      says('Finished.'),
    ]);
    expect(harness.model.requests).toHaveLength(2);
    expect(session.stop_reason).toEqual({ type: 'end_turn' });
  });

  test('max_tokens → continued three times, then stopped in words', async () => {
    const cut = says('and on', { stop_reason: 'max_tokens' });
    const { session, events } = await play([cut, cut, cut, cut]);
    expect(harness.model.requests).toHaveLength(4);
    expect(session.stop_reason).toEqual({ type: 'end_turn' });
    const error = events.find((event) => event.type === 'session.error');
    expect(error?.type === 'session.error' && error.error.message).toMatch(/max_tokens/);
  });

  test('tool inputs that are always cut at max_tokens → stopped in words', async () => {
    const cut = (): Turn => ({
      type: 'sse',
      text: sseOfCutToolUse('{"command": "echo a very lo'),
    });
    const { session, events } = await play([cut(), cut(), cut(), cut()]);
    expect(harness.model.requests).toHaveLength(4);
    expect(session.stop_reason).toEqual({ type: 'end_turn' });
    expect(JSON.stringify(events.at(-2))).toMatch(/max_tokens/);
  });

  test('an unknown tool → an error result in words, and the model goes on', async () => {
    const { events, session } = await play([
      says([calls('teleport', { to: 'home' }, 'toolu_9')]),
      says('Sorry.'),
    ]);
    expect(resultsOf(events).get('toolu_9')).toMatch(/teleport/);
    expect(session.stop_reason).toEqual({ type: 'end_turn' });
  });

  test('a request the API refuses → session.error, idle with retries_exhausted, then goes on', async () => {
    const { handle, session, events } = await play([
      {
        type: 'error',
        status: 400,
        body: {
          type: 'error',
          error: { type: 'invalid_request_error', message: 'prompt is too long' },
        },
      },
      says('Now it works.'),
    ]);
    expect(session.stop_reason).toEqual({ type: 'retries_exhausted' });
    const error = events.find((event) => event.type === 'session.error');
    expect(error?.type === 'session.error' && error.error.message).toMatch(/prompt is too long/);
    await handle.executeUpdate(send, { args: ['again'] });
    await waitFor('the answer', async () =>
      (await harness.log.read(handle.workflowId)).some(({ type }) => type === 'agent.message'),
    );
  });

  test('an overloaded model → retried, the retry is in the log', async () => {
    const overloaded: Turn = {
      type: 'error',
      status: 529,
      headers: { 'retry-after-ms': '20' },
      body: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
    };
    const { events, session } = await play([overloaded, overloaded, says('At last.')]);
    expect(session.stop_reason).toEqual({ type: 'end_turn' });
    const errors = events.flatMap((event) => (event.type === 'session.error' ? [event.error] : []));
    expect(errors.map(({ type, retry_status }) => [type, retry_status.type])).toEqual([
      ['model_overloaded_error', 'retrying'],
    ]);
  });

  test('a stream that dies or hangs → asked again, nothing of the broken one in the log', async () => {
    const { events } = await play([
      says('This is cut off.', { ends: { type: 'drop', afterEvents: 4 } }),
      says('This one hangs.', { ends: { type: 'hang', afterEvents: 4 } }),
      says('Whole.'),
    ]);
    const said = events.flatMap((event) =>
      event.type === 'agent.message' ? event.content.map((block) => block.text) : [],
    );
    expect(said).toEqual(['Whole.']);
  });

  test('a wrong API key → an error that says which variable to set', async () => {
    harness = await startHarness({
      player: scripted([]),
      apiKey: { sent: 'wrong', accepted: 'right' },
    });
    const handle = await harness.start({ initial_events: ['hello'] });
    await harness.untilIdle(handle);
    const events = await harness.log.read(handle.workflowId);
    const error = events.find((event) => event.type === 'session.error');
    expect(error?.type === 'session.error' && error.error.message).toMatch(/ANTHROPIC_API_KEY/);
  });
});

let cutAnswers = 0;

/** A stream whose one tool use ends in the middle of its input. */
function sseOfCutToolUse(json: string): string {
  cutAnswers += 1;
  const usage = { input_tokens: 1, output_tokens: 1 };
  const events = [
    {
      type: 'message_start',
      message: {
        id: 'msg_cut',
        type: 'message',
        role: 'assistant',
        model: 'rehearsal',
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage,
      },
    },
    {
      type: 'content_block_start',
      index: 0,
      content_block: { type: 'tool_use', id: `toolu_cut_${cutAnswers}`, name: 'bash', input: {} },
    },
    {
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'input_json_delta', partial_json: json },
    },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'max_tokens', stop_sequence: null }, usage },
    { type: 'message_stop' },
  ];
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
}

function resultsOf(events: readonly SessionEvent[]): Map<string, string> {
  return new Map(
    events.flatMap((event) => {
      if (event.type !== 'agent.tool_result') return [];
      const block = event.content?.[0];
      return [[event.tool_use_id, block?.type === 'text' ? block.text : '']] as const;
    }),
  );
}
