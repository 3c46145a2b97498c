import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import { ActivityCancellationDetails } from '@temporalio/common';
import { afterEach, describe, expect, test } from 'vitest';
import { createModelActivities } from '../../activities/model/activities.ts';
import { RunNotRetainedError } from '../../log/errors/run-not-retained-error.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { historyEventId } from '../../protocol/ids.ts';
import type { RespondResult } from '../../protocol/model-step.ts';
import type { Player, RehearsalBlock, Turn } from '../../rehearsal/player.ts';
import { calls, everyMs, gate, says, scripted, text } from '../../rehearsal/script.ts';
import { type RehearsalServer, startRehearsalServer } from '../../rehearsal/server.ts';
import { RUN_ID, runStep, startStep, writeLog } from '../support/model-step.ts';

const TOOLSET = { tools: [{ type: 'agent_toolset_20260401' as const }] };
const open: RehearsalServer[] = [];

async function serve(...turns: Turn[]): Promise<RehearsalServer> {
  return servePlayer(scripted(turns));
}

async function servePlayer(player: Player): Promise<RehearsalServer> {
  const server = await startRehearsalServer({ player, apiKey: 'rehearsal-key' });
  open.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

function endOf({ events }: RespondResult) {
  const end = events.at(-1);
  if (end?.type !== 'span.model_request_end') throw new Error('the events are not closed');
  return end;
}

async function failureOf(result: Promise<RespondResult>): Promise<ApplicationFailure> {
  const error: unknown = await result.catch((thrown: unknown) => thrown);
  if (!(error instanceof ApplicationFailure)) throw new Error(`no failure but ${String(error)}`);
  return error;
}

/** Waits for a condition instead of for a time. */
async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadlineMs) throw new Error('the condition did not come true within 5 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('a model step', () => {
  test('asks for the agent and returns the answer as events, closed', async () => {
    const server = await serve(
      says([text('Let me '), text('look.'), calls('bash', { command: 'ls' }, 'toolu_1')]),
    );
    const result = await runStep({ url: server.url, agent: { ...TOOLSET, system: 'Be brief.' } });
    expect(result.events.slice(0, -1)).toEqual([
      {
        type: 'agent.message',
        content: [
          { type: 'text', text: 'Let me ' },
          { type: 'text', text: 'look.' },
        ],
      },
      {
        type: 'agent.tool_use',
        id: 'toolu_1',
        name: 'bash',
        input: { command: 'ls' },
        evaluated_permission: 'allow',
      },
    ]);
    expect(endOf(result)).toMatchObject({
      model_request_start_id: historyEventId(RUN_ID, 42, 0),
      is_error: false,
      stop_reason: 'tool_use',
      model: 'rehearsal of claude-sonnet-5-5',
      request_id: 'req_rehearsal_0',
      assumptions: [],
    });
    expect(server.requests[0]?.body).toMatchObject({
      stream: true,
      model: 'claude-sonnet-5-5',
      max_tokens: 32_000,
      system: [{ type: 'text', text: 'Be brief.' }],
    });
    expect(server.requests[0]?.headers['x-stainless-retry-count']).toBe('0');
  });

  test('sends thinking, effort and speed with the betas that they need', async () => {
    const server = await serve(says('hi'));
    const agent = {
      model: { id: 'claude-opus-5-5', effort: 'high' as const, speed: 'fast' as const },
      thinking: { type: 'enabled' as const, budget_tokens: 2048 },
    };
    await runStep({ url: server.url, agent });
    expect(server.requests[0]?.body).toMatchObject({
      thinking: { type: 'enabled', budget_tokens: 2048 },
      output_config: { effort: 'high' },
      speed: 'fast',
    });
    expect(server.requests[0]?.headers['anthropic-beta']).toBe(
      'fast-mode-2026-02-01,interleaved-thinking-2025-05-14',
    );
  });

  test('record puts into the log what it is given', async () => {
    const { record } = createModelActivities({ anthropic: {} as never, log: {} as never });
    const input = {
      events: [{ type: 'agent.tool_result' as const, tool_use_id: 't', is_error: true }],
    };
    expect(await record(input)).toEqual(input);
  });
});

describe('a tool use that cannot run comes with its result', () => {
  const agent = {
    tools: [
      {
        type: 'agent_toolset_20260401' as const,
        configs: [{ name: 'grep' as const, enabled: false }],
      },
      {
        type: 'custom' as const,
        name: 'lookup',
        description: 'd',
        input_schema: { type: 'object' as const },
      },
    ],
  };
  const known = 'bash, read, write, edit, glob, lookup';

  async function stepOf(sse: string | RehearsalBlock, maxTokens = false) {
    const turn: Turn =
      typeof sse === 'string'
        ? { type: 'sse', text: sse }
        : says([sse], maxTokens ? { stop_reason: 'max_tokens' } : {});
    const server = await serve(turn);
    return (await runStep({ url: server.url, agent })).events;
  }

  test.each(['launch_rockets', 'grep'])('of an unknown or disabled name: %s', async (name) => {
    const [use, result] = await stepOf(calls(name, { a: 1 }, 'toolu_1'));
    expect(use).toEqual({
      type: 'agent.tool_use',
      id: 'toolu_1',
      name,
      input: { a: 1 },
      evaluated_permission: 'deny',
    });
    expect(result).toEqual({
      type: 'agent.tool_result',
      tool_use_id: 'toolu_1',
      is_error: true,
      content: [
        {
          type: 'text',
          text: `There is no tool named "${name}", so nothing was run. The tools are: ${known}.`,
        },
      ],
    });
  });

  test('with malformed JSON', async () => {
    const [use, result] = await stepOf(brokenToolUse('{"command": "ls", oops', 'tool_use'));
    expect(use).toMatchObject({ type: 'agent.tool_use', id: 'toolu_b', name: 'bash', input: {} });
    expect(result).toMatchObject({ tool_use_id: 'toolu_b', is_error: true });
    const said = JSON.stringify(result);
    expect(said).toContain('The input of \\"bash\\" is not valid JSON, so nothing was run: ');
    expect(said).toContain('It ended with: {\\"command\\": \\"ls\\", oops');
  });

  test('with JSON that is not an object', async () => {
    const [, result] = await stepOf(brokenToolUse('[1]', 'tool_use'));
    expect(JSON.stringify(result)).toContain('the input must be a JSON object');
  });

  test.each(['{"command": "ec', ''])('cut off at the output limit after %j', async (input) => {
    const [use, result, end] = await stepOf(brokenToolUse(input, 'max_tokens'));
    expect(use).toMatchObject({ type: 'agent.tool_use', input: {} });
    expect(JSON.stringify(result)).toContain('cut off at the output limit, so nothing was run');
    expect(end).toMatchObject({ stop_reason: 'max_tokens' });
  });

  test('but a complete one before the limit runs', async () => {
    const [use, end] = await stepOf(calls('bash', { command: 'ls' }, 'toolu_1'), true);
    expect(use).toMatchObject({ evaluated_permission: 'allow' });
    expect(end).toMatchObject({ type: 'span.model_request_end', stop_reason: 'max_tokens' });
  });

  test('and so does one without arguments, when another was cut', async () => {
    const whole = { type: 'tool_use' as const, id: 'toolu_a', name: 'glob', input: {} };
    const opened = { type: 'content_block_start', index: 0, content_block: whole };
    const closed = { type: 'content_block_stop', index: 0 };
    const cut = brokenToolUse('{"com', 'max_tokens').replaceAll('"index":0', '"index":1');
    const start = 'event: content_block_start';
    const before = [opened, closed].map(
      (event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
    );
    const events = await stepOf(cut.replace(start, `${before.join('')}${start}`));
    expect(events.map(({ type }) => type)).toEqual([
      'agent.tool_use',
      'agent.tool_use',
      'agent.tool_result',
      'span.model_request_end',
    ]);
    expect(events[0]).toMatchObject({ id: 'toolu_a', evaluated_permission: 'allow' });
    expect(events[2]).toMatchObject({ tool_use_id: 'toolu_b' });
  });

  test('and a custom tool is the client’s', async () => {
    const [use] = await stepOf(calls('lookup', { key: 'a' }, 'toolu_1'));
    expect(use).toEqual({
      type: 'agent.custom_tool_use',
      id: 'toolu_1',
      name: 'lookup',
      input: { key: 'a' },
    });
  });

  test('nothing of a refused answer is a call', async () => {
    const refused = says([calls('bash', { command: 'ls' }, 'toolu_1')], {
      stop_reason: 'refusal',
      message: { stop_details: { type: 'refusal', category: 'cyber', explanation: 'no' } },
    });
    const { events } = await runStep({ url: (await serve(refused)).url, agent });
    expect(events[0]).toMatchObject({
      type: 'agent.message',
      content: [],
      block: { id: 'toolu_1' },
    });
    expect(events[1]).toMatchObject({
      stop_reason: 'refusal',
      stop_details: { type: 'refusal', category: 'cyber', explanation: 'no' },
    });
  });
});

describe('heartbeats', () => {
  test('come from the start on, while nothing is said', async () => {
    const held = gate(0);
    const server = await serve(says('hello', { pace: held.pace }));
    const startedMs = Date.now();
    const step = startStep({ url: server.url });
    await until(() => step.heartbeats.length >= 4);
    expect((Date.now() - startedMs) / 4).toBeLessThanOrEqual(500);
    const nothing = { attempt: 1, event_id: null, event_type: null, offset: 0, text: '' };
    expect(step.heartbeats[0]).toEqual(nothing);
    held.open();
    await step.result;
  });

  test('tell the last words under the id that they will have', async () => {
    const thinking = { type: 'thinking' as const, thinking: 'Hm.', signature: 'sig' };
    const server = await serve(
      says([thinking, text('a'.repeat(400)), text('é'.repeat(20_000)), calls('bash', {}, 't')], {
        deltaCharacters: 100,
        pace: everyMs(1),
      }),
    );
    const step = startStep({ url: server.url, agent: TOOLSET });
    const { events } = await step.result;
    const told = step.heartbeats.filter(({ event_id }) => event_id !== null);
    expect(told.length).toBeGreaterThan(2);
    for (const { event_id, event_type, offset, text: words } of told) {
      const index = event_type === 'agent.thinking' ? 0 : 1;
      expect(event_id).toBe(historyEventId(RUN_ID, 42, index + 1));
      const event = events[index];
      const whole =
        event?.type === 'agent.message' ? event.content.map((block) => block.text).join('') : 'Hm.';
      expect(whole.slice(offset, offset + words.length)).toBe(words);
      expect(Buffer.byteLength(words)).toBeLessThanOrEqual(16 * 1024);
    }
    const last = told.at(-1);
    expect(last?.offset).toBeGreaterThan(0);
    expect(Buffer.byteLength(last?.text ?? '')).toBeGreaterThan(16 * 1024 - 4);
  });
});

describe('an interrupt', () => {
  test('ends the HTTP stream and returns what was said, closed', async () => {
    const held = gate(6);
    const server = await serve(says('one two three', { deltaCharacters: 4, pace: held.pace }));
    const step = startStep({ url: server.url });
    await held.reached;
    await until(() => step.heartbeats.at(-1)?.text === 'one two thre');
    step.environment.cancel();
    const result = await step.result;
    expect(result.events[0]).toEqual({
      type: 'agent.message',
      content: [{ type: 'text', text: 'one two thre' }],
    });
    expect(endOf(result)).toMatchObject({ stop_reason: 'interrupted', is_error: false });
    expect(endOf(result).model_usage.input_tokens).toBeGreaterThan(0);
    held.open();
    await server.requests[0]?.closed;
  });

  test('keeps a complete tool use and drops one that was still being written', async () => {
    const blocks = [
      calls('bash', { command: 'ls' }, 'toolu_1'),
      text('and'),
      calls('bash', { command: 'pwd' }, 'toolu_2'),
    ];
    // Before the stop of the second use: 2 events before the blocks, then 4, 3 and 3.
    const held = gate(12);
    const server = await serve(says(blocks, { pace: held.pace }));
    const step = startStep({ url: server.url, agent: TOOLSET });
    await held.reached;
    await until(() => step.heartbeats.at(-1)?.text === 'and');
    step.environment.cancel();
    const { events } = await step.result;
    expect(events.map(({ type }) => type)).toEqual([
      'agent.tool_use',
      'agent.message',
      'span.model_request_end',
    ]);
    expect(events[0]).toMatchObject({ id: 'toolu_1' });
  });

  test('before the first word returns an empty, closed answer', async () => {
    const server = await serve({ type: 'hang' });
    const step = startStep({ url: server.url });
    await until(() => server.requests.length === 1);
    step.environment.cancel();
    const result = await step.result;
    expect(result.events).toHaveLength(1);
    expect(endOf(result)).toMatchObject({ stop_reason: 'interrupted', model: 'claude-sonnet-5-5' });
  });

  test('by a stopping worker is none: another attempt asks again', async () => {
    const server = await serve({ type: 'hang' });
    const step = startStep({ url: server.url });
    await until(() => server.requests.length === 1);
    step.environment.cancel(
      'WORKER_SHUTDOWN',
      new ActivityCancellationDetails({ workerShutdown: true }),
    );
    expect(await failureOf(step.result)).toMatchObject({
      type: FAILURE.modelInterrupted,
      nonRetryable: false,
    });
  });

  test.each(['paused', 'reset', 'timedOut', 'notFound'] as const)(
    '%s is none either',
    async (why) => {
      const server = await serve({ type: 'hang' });
      const step = startStep({ url: server.url });
      await until(() => server.requests.length === 1);
      step.environment.cancel('CANCELLED', new ActivityCancellationDetails({ [why]: true }));
      const error: unknown = await step.result.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(CancelledFailure);
    },
  );
});

describe('a model server that fails', () => {
  const twenty = 'word '.repeat(20);

  test('with a status is mapped, and asked once only', async () => {
    const server = await serve({
      type: 'error',
      status: 529,
      headers: { 'retry-after': '3' },
      body: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
    });
    expect(await failureOf(runStep({ url: server.url }))).toMatchObject({
      type: FAILURE.modelOverloaded,
      nonRetryable: false,
      nextRetryDelay: 3_000,
    });
    expect(server.requests).toHaveLength(1);
  });

  test('with a wrong key says which variable to set', async () => {
    const server = await serve();
    const failure = await failureOf(runStep({ url: server.url, apiKey: 'wrong' }));
    expect(failure).toMatchObject({ type: FAILURE.modelAuthentication, nonRetryable: true });
    expect(failure.message).toContain('Set ANTHROPIC_API_KEY');
    expect(failure.message).not.toContain('wrong');
  });

  test('with no key does not even ask', async () => {
    const server = await serve();
    const failure = await failureOf(runStep({ url: server.url, apiKey: null }));
    expect(failure).toMatchObject({ type: FAILURE.modelAuthentication, nonRetryable: true });
    expect(server.requests).toHaveLength(0);
  });

  test.each([
    ['overloaded_error', FAILURE.modelOverloaded],
    ['api_error', FAILURE.modelUnavailable],
    ['rate_limit_error', FAILURE.modelRateLimited],
  ])('in mid-stream with %s is tried again', async (type, failureType) => {
    const ends = { type: 'error' as const, afterEvents: 5, error: { type, message: 'Sorry' } };
    const server = await serve(says(twenty, { ends }));
    const failure = await failureOf(runStep({ url: server.url }));
    expect(failure).toMatchObject({ type: failureType, nonRetryable: false });
    expect(failure.message).toBe(
      `The Messages API answered in mid-stream ${type}: Sorry (request req_rehearsal_0).`,
    );
  });

  test.each(['cut', 'drop'] as const)(
    'in mid-stream by a %s connection is tried again',
    async (type) => {
      const server = await serve(says(twenty, { ends: { type, afterEvents: 5 } }));
      const failure = await failureOf(runStep({ url: server.url }));
      expect(failure).toMatchObject({ type: FAILURE.modelUnavailable, nonRetryable: false });
    },
  );

  test('by silence is tried again', async () => {
    const server = await serve(says(twenty, { ends: { type: 'hang', afterEvents: 5 } }), {
      type: 'hang',
    });
    for (const _moment of ['in mid-stream', 'from the start']) {
      const failure = await failureOf(runStep({ url: server.url, stallTimeoutMs: 100 }));
      expect(failure).toMatchObject({ type: FAILURE.modelStalled, nonRetryable: false });
      expect(failure.message).toBe('The model server said nothing, not even a ping, for 0.1 s.');
    }
  });

  test('but pings are signs of life', async () => {
    const pings = 'event: ping\ndata: {"type": "ping"}\n\n'.repeat(12);
    const sse = brokenToolUse('{}', 'tool_use').replace(
      'event: content_block_start',
      `${pings}event: content_block_start`,
    );
    const server = await serve({ type: 'sse', text: sse, pace: everyMs(80) });
    const result = await runStep({ url: server.url, agent: TOOLSET, stallTimeoutMs: 800 });
    expect(endOf(result).stop_reason).toBe('tool_use');
  });

  test('with something that is not JSON is tried again', async () => {
    const server = await serve({ type: 'sse', text: 'event: message_start\ndata: <html>\n\n' });
    const failure = await failureOf(runStep({ url: server.url }));
    expect(failure).toMatchObject({ type: FAILURE.modelUnavailable, nonRetryable: false });
  });

  test('with more than the log can hold fails in words, once', async () => {
    const server = await serve(says('x'.repeat(1_900_000), { deltaCharacters: 100_000 }));
    const failure = await failureOf(runStep({ url: server.url }));
    expect(failure).toMatchObject({ type: FAILURE.modelResultTooLarge, nonRetryable: true });
    expect(failure.message).toContain('at most 1800000');
  });
});

test.each([
  ['gone for good', new RunNotRetainedError('a-session', 'run-1', undefined), true],
  ['unreachable', new Error('connection lost'), false],
])('a log that is %s: not asked', async (_name, readError, isPermanent) => {
  const server = await serve();
  const error: unknown = await runStep({ url: server.url, readError }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error instanceof ApplicationFailure && error.nonRetryable).toBe(isPermanent);
  if (isPermanent) expect(error).toMatchObject({ type: FAILURE.sessionLogIncomplete });
  expect((error as Error).message).toContain(readError.message);
  expect(server.requests).toHaveLength(0);
});

test('the log is read by the activity’s own place in history', async () => {
  const server = await serve(says('hi'));
  const events = writeLog().user('what is up?').events;
  await runStep({ url: server.url, events });
  expect(server.requests[0]?.body.messages).toEqual([
    {
      role: 'user',
      content: [{ type: 'text', text: 'what is up?', cache_control: { type: 'ephemeral' } }],
    },
  ]);
});

function brokenToolUse(input: string, stopReason: string): string {
  const events = [
    {
      type: 'message_start',
      message: { id: 'm', model: 'm', content: [], usage: { input_tokens: 1, output_tokens: 1 } },
    },
    {
      type: 'content_block_start',
      index: 0,
      content_block: { type: 'tool_use', id: 'toolu_b', name: 'bash', input: {} },
    },
    {
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'input_json_delta', partial_json: input },
    },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: stopReason }, usage: { output_tokens: 9 } },
    { type: 'message_stop' },
  ];
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
}
