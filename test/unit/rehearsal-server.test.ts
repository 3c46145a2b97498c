import Anthropic, { APIError } from '@anthropic-ai/sdk';
import { afterEach, describe, expect, test } from 'vitest';
import type { Player } from '../../rehearsal/player.ts';
import {
  calls,
  everyMs,
  fromConversation,
  gate,
  says,
  scripted,
  text,
} from '../../rehearsal/script.ts';
import {
  REHEARSAL_HEADER,
  type RehearsalServer,
  startRehearsalServer,
} from '../../rehearsal/server.ts';

const open: RehearsalServer[] = [];

async function start(player: Player, apiKey?: string) {
  const server = await startRehearsalServer({
    player,
    ...(apiKey === undefined ? {} : { apiKey }),
  });
  open.push(server);
  const anthropic = new Anthropic({
    apiKey: 'some-key',
    authToken: null,
    baseURL: server.url,
    maxRetries: 0,
  });
  return { server, anthropic };
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

const hello = {
  model: 'claude-sonnet-5-5',
  max_tokens: 100,
  messages: [{ role: 'user' as const, content: 'hello' }],
};

describe('the rehearsal server', () => {
  test('streams a turn that the SDK reads back whole', async () => {
    const { anthropic, server } = await start(
      scripted([
        says([text('Let me look. 👀 '.repeat(20)), calls('bash', { command: 'ls "a b"\n# 👀' })], {
          pace: everyMs(1),
          deltaCharacters: 5,
        }),
      ]),
    );
    const stream = anthropic.beta.messages.stream(hello);
    const message = await stream.finalMessage();
    expect(message.content).toEqual([
      { type: 'text', text: 'Let me look. 👀 '.repeat(20) },
      {
        type: 'tool_use',
        id: expect.stringMatching(/^toolu_rehearsal_/),
        name: 'bash',
        input: { command: 'ls "a b"\n# 👀' },
      },
    ]);
    expect(message.stop_reason).toBe('tool_use');
    expect(message.usage.input_tokens).toBeGreaterThan(0);
    expect(message.usage.output_tokens).toBeGreaterThan(100);
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]?.body.messages).toEqual(hello.messages);
  });

  test('says on every answer that it is a rehearsal', async () => {
    const { anthropic } = await start(scripted([says('hi')]));
    const { data, response } = await anthropic.beta.messages.create(hello).withResponse();
    expect(data.model).toBe('rehearsal of claude-sonnet-5-5');
    expect(response.headers.get(REHEARSAL_HEADER)).toBe('no model made this answer');
    const dry = await anthropic.beta.messages.create(hello).catch((error: unknown) => error);
    expect(dry).toBeInstanceOf(APIError);
    expect((dry as APIError).status).toBe(500);
    expect((dry as APIError).headers?.get(REHEARSAL_HEADER)).toBe('no model made this answer');
    expect((dry as APIError).apiMessage).toBe(
      'rehearsal: the script has 1 turns, and was asked for turn 2',
    );
    expect((dry as APIError).headers?.get('x-should-retry')).toBe('false');
  });

  test('gives the same conversation the same tool use id, and another one another', async () => {
    const { anthropic } = await start(fromConversation(() => says([calls('bash', {})])));
    const idOf = async (content: string) => {
      const message = await anthropic.beta.messages.create({
        ...hello,
        messages: [{ role: 'user', content: [{ type: 'text', text: content }] }],
      });
      const [block] = message.content;
      return block?.type === 'tool_use' ? block.id : undefined;
    };
    const first = await idOf('a');
    expect(first).toBeDefined();
    expect(await idOf('a')).toBe(first);
    expect(await idOf('b')).not.toBe(first);
  });

  test('holds a stream open at a gate until it is opened', async () => {
    const held = gate(4);
    const { anthropic } = await start(scripted([says('hello there', { pace: held.pace })]));
    const seen: string[] = [];
    const reading = (async () => {
      const stream = await anthropic.beta.messages.create({ ...hello, stream: true });
      for await (const event of stream) seen.push(event.type);
    })();
    await held.reached;
    expect(seen).not.toContain('message_stop');
    held.open();
    await reading;
    expect(seen.at(-1)).toBe('message_stop');
  });

  test('refuses any key but the one it was given', async () => {
    const { anthropic } = await start(scripted([says('hi')]), 'right-key');
    const refused = await anthropic.beta.messages.create(hello).catch((error: unknown) => error);
    expect((refused as APIError).status).toBe(401);
    expect((refused as APIError).apiMessage).toBe('invalid x-api-key');
    const right = anthropic.withOptions({ apiKey: 'right-key' });
    expect((await right.beta.messages.create(hello)).stop_reason).toBe('end_turn');
  });
});

const use = (id: string) => ({ type: 'tool_use' as const, id, name: 'bash', input: {} });
const result = (id: string) => ({ type: 'tool_result' as const, tool_use_id: id, content: 'ok' });
const user = (...content: object[]) => ({ role: 'user', content });
const assistant = (...content: object[]) => ({ role: 'assistant', content });
const words = (said: string) => ({ type: 'text', text: said });

describe('a request with a mistake is refused as the API would', () => {
  const cases: [string, object, RegExp][] = [
    ['no max_tokens', { max_tokens: undefined }, /^max_tokens: Field required$/],
    ['no messages', { messages: [] }, /at least one message/],
    [
      'assistant first',
      { messages: [assistant(words('a'))] },
      /first message must use the "user" role/,
    ],
    ['unknown role', { messages: [{ role: 'tool', content: 'a' }] }, /Unexpected role "tool"/],
    ['empty text', { messages: [user(words(''))] }, /must be non-empty/],
    ['blank text', { messages: [user(words(' \n'))] }, /non-whitespace/],
    ['empty content', { messages: [user()] }, /non-empty content/],
    [
      'tool use without result',
      { messages: [user(words('a')), assistant(use('t1')), user(words('b'))] },
      /messages\.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1\./,
    ],
    [
      'result after text',
      { messages: [user(words('a')), assistant(use('t1')), user(words('b'), result('t1'))] },
      /without `tool_result` blocks immediately after: t1/,
    ],
    [
      'result without tool use',
      { messages: [user(result('t9'))] },
      /unexpected `tool_use_id` found in `tool_result` blocks: t9/,
    ],
    [
      'two results of one use',
      { messages: [user(words('a')), assistant(use('t1')), user(result('t1'), result('t1'))] },
      /single result/,
    ],
    [
      'prefill',
      { messages: [user(words('a')), assistant(words('b'))] },
      /must end with a user message/,
    ],
    [
      'thinking last',
      {
        messages: [
          user(words('a')),
          assistant({ type: 'thinking', thinking: 'x', signature: 's' }),
          user(words('b')),
        ],
      },
      /cannot be `thinking`/,
    ],
    [
      'thinking without signature',
      {
        messages: [
          user(words('a')),
          assistant({ type: 'thinking', thinking: 'x', signature: '' }, words('c')),
          user(words('b')),
        ],
      },
      /Invalid `signature`/,
    ],
    [
      'five cache marks',
      {
        messages: [
          user(
            ...[1, 2, 3, 4, 5].map((n) => ({
              ...words(`${n}`),
              cache_control: { type: 'ephemeral' },
            })),
          ),
        ],
      },
      /maximum of 4 blocks with cache_control may be provided\. Found 5/,
    ],
    [
      'one tool name twice',
      { tools: [1, 2].map(() => ({ name: 'x', input_schema: { type: 'object' } })) },
      /Tool names must be unique/,
    ],
  ];

  test.each(cases)('%s → 400', async (_name, changes, message) => {
    const { server } = await start(scripted([says('must not be played')]));
    const response = await fetch(`${server.url}/v1/messages`, {
      method: 'POST',
      headers: { 'x-api-key': 'k', 'anthropic-version': '2023-06-01' },
      body: JSON.stringify({ ...hello, ...changes }),
    });
    expect(response.status).toBe(400);
    const body = (await response.json()) as { error: { type: string; message: string } };
    expect(body.error.type).toBe('invalid_request_error');
    expect(body.error.message).toMatch(message);
  });

  test('no key → 401', async () => {
    const { server } = await start(scripted([says('must not be played')]));
    const response = await fetch(`${server.url}/v1/messages`, { method: 'POST', body: '{}' });
    expect(response.status).toBe(401);
  });

  test('a conversation with tools is let in', async () => {
    const { server } = await start(scripted([says('hi')]));
    const response = await fetch(`${server.url}/v1/messages`, {
      method: 'POST',
      headers: { 'x-api-key': 'k', 'anthropic-version': '2023-06-01' },
      body: JSON.stringify({
        ...hello,
        messages: [
          user(words('a')),
          assistant(use('t1'), use('t2')),
          user(result('t2'), result('t1'), words('b')),
        ],
      }),
    });
    expect(response.status).toBe(200);
  });
});
