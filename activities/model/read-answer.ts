import type Anthropic from '@anthropic-ai/sdk';
import { APIError } from '@anthropic-ai/sdk';
import { Stream } from '@anthropic-ai/sdk/core/streaming';
import { isObject, type JsonObject } from '../../protocol/json-object.ts';
import { type Answer, addToAnswer, emptyAnswer } from './answer.ts';
import type { MessagesRequest } from './context/messages-request.ts';
import { BrokenStreamError, StalledStreamError } from './model-failure.ts';
import { createWatchdog } from './watchdog.ts';

/** After `message_stop` the line is only kept to be used again; it is not waited for. */
const FAREWELL_MS = 1_000;

export interface ReadAnswerOptions {
  /** Aborting it ends the HTTP stream and returns what has come. */
  readonly signal: AbortSignal;
  readonly stallTimeoutMs: number;
  /** Called after each event of the stream. */
  readonly onProgress: (answer: Answer) => void;
}

export interface ReadAnswer {
  readonly answer: Answer;
  readonly requestId: string | null;
}

/**
 * One streamed model request. The raw events are read, not the SDK's parsed ones: those leave out
 * pings, which are the only sign of life of a model that thinks.
 *
 * @throws what `toModelFailure` maps; never on abort
 */
export async function readAnswer(
  anthropic: Anthropic,
  request: MessagesRequest,
  options: ReadAnswerOptions,
): Promise<ReadAnswer> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const watchdog = createWatchdog(options.stallTimeoutMs, abort);
  const read = { answer: emptyAnswer(), requestId: null as string | null };
  options.signal.addEventListener('abort', abort, { once: true });
  if (options.signal.aborted) abort();
  try {
    const response = await send(anthropic, request, controller.signal);
    read.requestId = response.headers.get('request-id');
    watchdog.reset();
    for await (const { data } of Stream.rawEvents(response, controller)) {
      addToAnswer(read.answer, parseEvent(data, response.headers));
      options.onProgress(read.answer);
      watchdog.reset(read.answer.isFinished ? FAREWELL_MS : options.stallTimeoutMs);
    }
  } catch (error) {
    if (options.signal.aborted || read.answer.isFinished) return read;
    throw watchdog.hasFired() ? stalled(options.stallTimeoutMs) : error;
  } finally {
    watchdog.stop();
    options.signal.removeEventListener('abort', abort);
  }
  if (!read.answer.isFinished && !options.signal.aborted) {
    throw new BrokenStreamError('the stream ended before message_stop');
  }
  return read;
}

/** Temporal owns retry, and the watchdog owns the time: it also covers the wait for the headers. */
function send(
  anthropic: Anthropic,
  request: MessagesRequest,
  signal: AbortSignal,
): Promise<Response> {
  return anthropic.beta.messages
    .create({ ...request, stream: true }, { signal, maxRetries: 0 })
    .asResponse();
}

function parseEvent(data: string, headers: Headers): JsonObject {
  const event = parseObject(data);
  if (event['type'] !== 'error') return event;
  const error = event['error'];
  const type = isObject(error) && typeof error['type'] === 'string' ? error['type'] : undefined;
  throw new APIError(undefined, event, undefined, headers, (type ?? 'api_error') as 'api_error');
}

function parseObject(data: string): JsonObject {
  let event: unknown;
  try {
    event = JSON.parse(data);
  } catch {
    throw new BrokenStreamError('the stream holds an event that is not JSON');
  }
  if (!isObject(event)) throw new BrokenStreamError('the stream holds an event that is no object');
  return event;
}

function stalled(stallTimeoutMs: number): StalledStreamError {
  return new StalledStreamError(
    `The model server said nothing, not even a ping, for ${stallTimeoutMs / 1000} s.`,
  );
}
