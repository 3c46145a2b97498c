import { APIConnectionError, APIError } from '@anthropic-ai/sdk';
import { ApplicationFailure } from '@temporalio/common';
import { FAILURE, type FailureType } from '../../protocol/failure.ts';
import { isObject } from '../../protocol/json-object.ts';
import { retryDelayMs } from './retry-delay.ts';

/** HTTP statuses of the API's error types: an `error` event in mid-stream has no status of its own. */
const STATUS_OF_TYPE: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
};

/** The stream ended, or said something unreadable, before `message_stop`. */
export class BrokenStreamError extends Error {}

/** The model server said nothing, not even a ping, for longer than the stall timeout. */
export class StalledStreamError extends Error {}

/**
 * Decides what Temporal does about a failed model request. `x-should-retry` wins; else 408, 409, 429
 * and 5xx are tried again and other 4xx are not. The original error is not attached as a cause: its
 * text would enter history unchecked.
 *
 * @param keys what the worker authenticates with: a server may echo it, in whatever shape it has
 */
export function toModelFailure(
  error: unknown,
  nowMs: number,
  keys: readonly (string | null)[],
): ApplicationFailure {
  const failure = toFailure(error, nowMs);
  const secrets = keys.filter((key): key is string => !!key && failure.message.includes(key));
  if (secrets.length === 0) return failure;
  // Made anew: the stack of an error begins with its message.
  return ApplicationFailure.create({
    type: failure.type ?? FAILURE.modelUnavailable,
    message: secrets.reduce<string>((text, key) => text.replaceAll(key, '…'), failure.message),
    nonRetryable: failure.nonRetryable ?? false,
    ...(failure.nextRetryDelay ? { nextRetryDelay: failure.nextRetryDelay } : {}),
  });
}

function toFailure(error: unknown, nowMs: number): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  if (error instanceof StalledStreamError) return retry(FAILURE.modelStalled, error.message);
  if (error instanceof APIConnectionError)
    return retry(FAILURE.modelUnavailable, cannotReach(error));
  if (error instanceof APIError) return fromApiError(error, nowMs);
  // Thrown by the SDK before anything is sent, for want of a key.
  if (isMissingCredentials(error)) return permanent(FAILURE.modelAuthentication, MISSING_KEY);
  const text = error instanceof Error ? error.message : String(error);
  return retry(
    FAILURE.modelUnavailable,
    `The answer of the model server broke off: ${redact(text)}.`,
  );
}

const KEY_REMEDY =
  'Set ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN) to a valid key in the environment of the worker ' +
  'and start it again.';
const MISSING_KEY = `There is no key for the Messages API. ${KEY_REMEDY}`;

function fromApiError(error: APIError, nowMs: number): ApplicationFailure {
  const bodyType = typeOf(error);
  const status = error.status ?? STATUS_OF_TYPE[bodyType ?? ''] ?? 500;
  const message = sentence(error, status, bodyType);
  const type = failureType(status, bodyType, message);
  // Headers of an error in mid-stream belong to the 200 that began it.
  const headers = error.status === undefined ? undefined : error.headers;
  if (!shouldRetry(status, headers)) return permanent(type, withRemedy(type, message));
  return retry(type, withRemedy(type, message), headers && retryDelayMs(headers, nowMs));
}

function shouldRetry(status: number, headers: Headers | undefined): boolean {
  const told = headers?.get('x-should-retry');
  if (told === 'true') return true;
  if (told === 'false') return false;
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

function failureType(status: number, bodyType: string | undefined, message: string): FailureType {
  if (bodyType === 'billing_error' || status === 402) return FAILURE.modelBilling;
  // An empty account is reported as an invalid request.
  if (status === 400 && /credit balance/i.test(message)) return FAILURE.modelBilling;
  if (bodyType === 'overloaded_error' || status === 529) return FAILURE.modelOverloaded;
  if (status === 429) return FAILURE.modelRateLimited;
  if (status === 401 || status === 403) return FAILURE.modelAuthentication;
  if (status === 404) return FAILURE.modelNotFound;
  if (status === 408 || status === 409 || status >= 500) return FAILURE.modelUnavailable;
  return FAILURE.modelInvalidRequest;
}

function withRemedy(type: FailureType, message: string): string {
  switch (type) {
    case FAILURE.modelAuthentication:
      return `${message} ${KEY_REMEDY}`;
    case FAILURE.modelNotFound:
      return `${message} Check the agent's model id and ANTHROPIC_BASE_URL.`;
    case FAILURE.modelBilling:
      return `${message} Add credit to the account of the key, then send a message to go on.`;
    default:
      return message;
  }
}

function sentence(error: APIError, status: number, bodyType: string | undefined): string {
  const kind = bodyType === undefined ? '' : ` ${bodyType}`;
  const said = error.apiMessage ?? 'no explanation';
  const request = error.requestID ? ` (request ${error.requestID})` : '';
  const where = error.status === undefined ? 'in mid-stream' : String(status);
  return `The Messages API answered ${where}${kind}: ${redact(said)}${request}.`;
}

function typeOf(error: APIError): string | undefined {
  if (error.type) return error.type;
  const body: unknown = error.error;
  const inner = isObject(body) ? body['error'] : undefined;
  return isObject(inner) && typeof inner['type'] === 'string' ? inner['type'] : undefined;
}

function cannotReach(error: APIConnectionError): string {
  const reason = error.cause instanceof Error ? rootMessage(error.cause) : error.message;
  return `The model server cannot be reached: ${redact(reason)}. Check ANTHROPIC_BASE_URL and the network of the worker.`;
}

/** `fetch failed` says nothing; what it wraps does. */
function rootMessage(error: Error): string {
  if (error.cause instanceof Error) return rootMessage(error.cause);
  return error.message || ('code' in error ? String(error.code) : error.name);
}

function isMissingCredentials(error: unknown): boolean {
  return error instanceof Error && /could not resolve authentication/i.test(error.message);
}

/** A proxy may echo the key it was given; what cannot be sent is named whole by who refuses it. */
function redact(text: string): string {
  return text
    .replace(/"[^"]*" is an invalid header value/g, 'a key is an invalid header value')
    .replace(/\/\/[^/@\s]*@/g, '//…@')
    .replace(/sk-ant-[\w-]+/g, 'sk-ant-…')
    .replace(/(bearer\s+)[\w.~+/-]+=*/gi, '$1…');
}

function retry(type: FailureType, message: string, delayMs?: number): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message,
    nonRetryable: false,
    ...(delayMs === undefined ? {} : { nextRetryDelay: delayMs }),
  });
}

function permanent(type: FailureType, message: string): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true });
}
