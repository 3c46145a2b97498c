import Anthropic, { APIError } from '@anthropic-ai/sdk';
import { expect, test } from 'vitest';
import { toModelFailure } from '../../activities/model/model-failure.ts';
import { readEnvironment } from '../../workers/env.ts';

const CANARY = 'CANARY1234567890';

test.each([
  [
    'a key of two lines',
    { ANTHROPIC_API_KEY: `${CANARY}\nx` },
    /ANTHROPIC_API_KEY: must be one line/,
  ],
  ['quotes around a key', { ANTHROPIC_API_KEY: `“${CANARY}”` }, /ANTHROPIC_API_KEY/],
  ['a token with a space', { ANTHROPIC_AUTH_TOKEN: `${CANARY} x` }, /ANTHROPIC_AUTH_TOKEN/],
  [
    'a password in the URL',
    { ANTHROPIC_BASE_URL: `http://u:${CANARY}@host` },
    /ANTHROPIC_BASE_URL/,
  ],
  ['no URL', { ANTHROPIC_BASE_URL: CANARY }, /ANTHROPIC_BASE_URL: must be an http/],
])('%s → refused at the start, without naming it', (_name, variables, words) => {
  const read = () => readEnvironment(variables);
  expect(read).toThrow(words);
  expect(read).not.toThrow(new RegExp(CANARY));
});

test('a key with a line end → taken without it', () => {
  const { anthropic } = readEnvironment({ ANTHROPIC_API_KEY: `${CANARY}\n` });
  expect(anthropic.apiKey).toBe(CANARY);
});

test.each([
  ['a key that cannot be sent', { apiKey: `${CANARY}\nx`, baseURL: 'http://127.0.0.1:9' }],
  ['a password in the URL', { apiKey: 'k', baseURL: `http://u:${CANARY}@127.0.0.1:9` }],
])('%s → not in what enters the history', async (_name, options) => {
  const anthropic = new Anthropic({ authToken: null, maxRetries: 0, ...options });
  const messages = [{ role: 'user', content: 'x' }] as const;
  const error = await anthropic.messages
    .create({ model: 'm', max_tokens: 1, messages: [...messages] })
    .catch((reason: unknown) => reason);
  expect(String(error instanceof Error && (error.cause ?? error))).toContain(CANARY);
  expect(toModelFailure(error, 0, []).message).not.toContain(CANARY);
});

test('a server that echoes a key of any shape → not in what enters the history', () => {
  const said = { type: 'error', error: { type: 'rate_limit_error', message: `no ${CANARY} here` } };
  const headers = new Headers({ 'retry-after': '3' });
  const error = APIError.generate(429, said, undefined, headers);
  expect(error.message).toContain(CANARY);
  const failure = toModelFailure(error, 0, [null, CANARY]);
  expect(failure.message).toContain('no … here');
  expect(failure.stack).not.toContain(CANARY);
  expect(failure).toMatchObject({ nonRetryable: false, nextRetryDelay: 3_000 });
});
