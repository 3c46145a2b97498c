import Anthropic, {
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
} from '@anthropic-ai/sdk';
import type { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import {
  BrokenStreamError,
  StalledStreamError,
  toModelFailure,
} from '../../activities/model/model-failure.ts';
import { retryDelayMs } from '../../activities/model/retry-delay.ts';
import { FAILURE, type FailureType } from '../../protocol/failure.ts';

const NOW_MS = Date.parse('2026-03-01T12:00:00Z');

function httpError(
  status: number,
  type: string,
  headers: Record<string, string> = {},
  message = 'said',
) {
  const body = { type: 'error', error: { type, message } };
  return APIError.generate(status, body, undefined, new Headers(headers));
}

function midStreamError(type: string, headers: Record<string, string> = {}) {
  const body = { type: 'error', error: { type, message: 'said' } };
  return new APIError(undefined, body, undefined, new Headers(headers), type as 'api_error');
}

type Case = [name: string, error: unknown, type: FailureType, retries: boolean, delayMs?: number];

const cases: Case[] = [
  ['400', httpError(400, 'invalid_request_error'), FAILURE.modelInvalidRequest, false],
  ['401', httpError(401, 'authentication_error'), FAILURE.modelAuthentication, false],
  ['402', httpError(402, 'billing_error'), FAILURE.modelBilling, false],
  [
    '400 for an empty account',
    httpError(
      400,
      'invalid_request_error',
      {},
      'Your credit balance is too low to access the API.',
    ),
    FAILURE.modelBilling,
    false,
  ],
  ['403', httpError(403, 'permission_error'), FAILURE.modelAuthentication, false],
  ['404', httpError(404, 'not_found_error'), FAILURE.modelNotFound, false],
  ['408', httpError(408, 'timeout_error'), FAILURE.modelUnavailable, true],
  ['409', httpError(409, 'conflict_error'), FAILURE.modelUnavailable, true],
  ['413', httpError(413, 'request_too_large'), FAILURE.modelInvalidRequest, false],
  ['422', httpError(422, 'invalid_request_error'), FAILURE.modelInvalidRequest, false],
  ['429', httpError(429, 'rate_limit_error'), FAILURE.modelRateLimited, true],
  ['500', httpError(500, 'api_error'), FAILURE.modelUnavailable, true],
  ['503', httpError(503, 'api_error'), FAILURE.modelUnavailable, true],
  ['529', httpError(529, 'overloaded_error'), FAILURE.modelOverloaded, true],
  [
    '429 with retry-after',
    httpError(429, 'rate_limit_error', { 'retry-after': '17' }),
    FAILURE.modelRateLimited,
    true,
    17_000,
  ],
  [
    '529 with both delays: retry-after-ms wins',
    httpError(529, 'overloaded_error', { 'retry-after': '17', 'retry-after-ms': '250' }),
    FAILURE.modelOverloaded,
    true,
    250,
  ],
  [
    '503 with an HTTP date',
    httpError(503, 'api_error', { 'retry-after': 'Sun, 01 Mar 2026 12:00:30 GMT' }),
    FAILURE.modelUnavailable,
    true,
    30_000,
  ],
  [
    '429 that must not be tried again',
    httpError(429, 'rate_limit_error', { 'x-should-retry': 'false' }),
    FAILURE.modelRateLimited,
    false,
  ],
  [
    '500 that must not be tried again',
    httpError(500, 'api_error', { 'x-should-retry': 'false' }),
    FAILURE.modelUnavailable,
    false,
  ],
  [
    '400 that should be tried again',
    httpError(400, 'invalid_request_error', { 'x-should-retry': 'true' }),
    FAILURE.modelInvalidRequest,
    true,
  ],
  ['mid-stream overloaded', midStreamError('overloaded_error'), FAILURE.modelOverloaded, true],
  ['mid-stream api error', midStreamError('api_error'), FAILURE.modelUnavailable, true],
  ['mid-stream rate limit', midStreamError('rate_limit_error'), FAILURE.modelRateLimited, true],
  ['mid-stream unknown error', midStreamError('quantum_error'), FAILURE.modelUnavailable, true],
  [
    'mid-stream invalid',
    midStreamError('invalid_request_error'),
    FAILURE.modelInvalidRequest,
    false,
  ],
  [
    'mid-stream error: headers of the 200 say nothing about it',
    midStreamError('overloaded_error', { 'retry-after': '60', 'x-should-retry': 'false' }),
    FAILURE.modelOverloaded,
    true,
  ],
  [
    'refused connection',
    new APIConnectionError({ cause: new Error('x') }),
    FAILURE.modelUnavailable,
    true,
  ],
  ['timeout', new APIConnectionTimeoutError(), FAILURE.modelUnavailable, true],
  ['broken stream', new BrokenStreamError('it ended'), FAILURE.modelUnavailable, true],
  ['reset connection', new TypeError('terminated'), FAILURE.modelUnavailable, true],
  ['silence', new StalledStreamError('nothing came'), FAILURE.modelStalled, true],
];

describe('what Temporal does about a failed model request', () => {
  test.each(cases)('%s', (_name, error, type, retries, delayMs) => {
    const failure = toModelFailure(error, NOW_MS, []);
    expect(failure.type).toBe(type);
    expect(failure.nonRetryable).toBe(!retries);
    expect(failure.nextRetryDelay).toBe(delayMs);
    expect(failure.cause).toBeUndefined();
  });

  test('no key at all names the variable to set', async () => {
    const anthropic = new Anthropic({
      apiKey: null,
      authToken: null,
      baseURL: 'http://127.0.0.1:9',
    });
    const error: unknown = await anthropic.beta.messages
      .create({ model: 'm', max_tokens: 1, messages: [] })
      .catch((thrown: unknown) => thrown);
    const failure = toModelFailure(error, NOW_MS, []);
    expect(failure).toMatchObject({ type: FAILURE.modelAuthentication, nonRetryable: true });
    expect(failure.message).toContain('ANTHROPIC_API_KEY');
  });
});

describe('messages are for people', () => {
  const messageOf = (error: unknown) =>
    (toModelFailure(error, NOW_MS, []) as ApplicationFailure).message;

  test('a wrong key says what to set', () => {
    expect(messageOf(httpError(401, 'authentication_error', {}, 'invalid x-api-key'))).toBe(
      'The Messages API answered 401 authentication_error: invalid x-api-key. ' +
        'Set ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN) to a valid key in the environment of the worker and start it again.',
    );
  });

  test('an unknown model says where it is set, and the request id', () => {
    const error = httpError(404, 'not_found_error', { 'request-id': 'req_1' }, 'model: claude-x');
    expect(messageOf(error)).toBe(
      "The Messages API answered 404 not_found_error: model: claude-x (request req_1). Check the agent's model id and ANTHROPIC_BASE_URL.",
    );
  });

  test('a server that is not there is told by its cause', async () => {
    const anthropic = new Anthropic({
      apiKey: 'k',
      authToken: null,
      baseURL: 'http://127.0.0.1:9',
      maxRetries: 0,
    });
    const error: unknown = await anthropic.beta.messages
      .create({ model: 'm', max_tokens: 1, messages: [] })
      .catch((thrown: unknown) => thrown);
    expect(messageOf(error)).toMatch(
      /cannot be reached: .*(ECONNREFUSED|bad port).*ANTHROPIC_BASE_URL/,
    );
  });

  test('a key that a proxy echoes is not shown', () => {
    const echoed = 'bad key sk-ant-api03-SECRET_key-1 in Authorization: Bearer abc.DEF-123=';
    const message = messageOf(httpError(400, 'invalid_request_error', {}, echoed));
    expect(message).not.toMatch(/SECRET|abc\.DEF/);
    expect(message).toContain('sk-ant-…');
  });
});

describe('how long the server asks to wait', () => {
  const table: [Record<string, string>, number | undefined][] = [
    [{}, undefined],
    [{ 'retry-after-ms': '1500' }, 1500],
    [{ 'retry-after': '0.5' }, 500],
    [{ 'retry-after': '0' }, undefined],
    [{ 'retry-after': '-3' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '<masked>', 'retry-after-ms': 'soon' }, undefined],
    [{ 'retry-after': 'Sun, 01 Mar 2026 12:02:00 GMT' }, 120_000],
    [{ 'retry-after': 'Sun, 01 Mar 2026 11:00:00 GMT' }, undefined],
    [{ 'retry-after': '86400' }, 3_600_000],
  ];
  test.each(table)('%j → %s ms', (headers, delayMs) => {
    expect(retryDelayMs(new Headers(headers), NOW_MS)).toBe(delayMs);
  });
});
