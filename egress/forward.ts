import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { forwardedHeaders } from './forward-headers.ts';
import { Refusal } from './refusal.ts';
import type { HttpTarget } from './target.ts';

const HTTP_PORT = 80;

/**
 * Sends a plain request on and its answer back, both as streams. What goes on is written anew from
 * what was understood: the host is that of the target whatever the client's own header says, and
 * where a body ends is said once.
 *
 * @param upstream Closed here.
 * @throws {Refusal} Nothing was answered yet.
 */
export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  target: HttpTarget,
  upstream: Socket,
): Promise<void> {
  const onward = httpRequest({
    createConnection: () => upstream,
    method: request.method,
    path: target.path,
    setHost: false,
    headers: onwardHeaders(request, target),
  });
  const answered = Promise.withResolvers<IncomingMessage>();
  onward.once('response', answered.resolve);
  onward.on('error', answered.reject);
  onward.once('close', () => answered.reject(new Error('no answer')));
  response.on('error', () => {});
  response.once('close', () => onward.destroy());
  onward.flushHeaders();
  try {
    // Its failure ends `onward` too. An answer may come before the whole body has gone.
    pipeline(request, onward).catch(() => {});
    await reply(await answered.promise, response);
  } catch (error) {
    if (response.headersSent) response.destroy();
    else throw toRefusal(error, target);
  } finally {
    upstream.destroy();
  }
}

function onwardHeaders(request: IncomingMessage, { host, port }: HttpTarget): string[] {
  const authority = port === HTTP_PORT ? host : `${host}:${port}`;
  const headers = forwardedHeaders(request.rawHeaders, ['host', 'expect']).flat();
  const isChunked = request.headers['transfer-encoding'] !== undefined;
  const framing = isChunked ? ['Transfer-Encoding', 'chunked'] : [];
  return ['Host', authority, ...headers, ...framing, 'Connection', 'close'];
}

async function reply(answer: IncomingMessage, response: ServerResponse): Promise<void> {
  const { statusCode = 502, statusMessage = '', rawHeaders } = answer;
  response.writeHead(statusCode, statusMessage, forwardedHeaders(rawHeaders).flat());
  response.flushHeaders();
  await pipeline(answer, response);
}

function toRefusal(error: unknown, { host }: HttpTarget): Refusal {
  if (error instanceof Refusal) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
  const words = `host ${host} gave no answer that can be passed on (${code.replace(/[^\w ]/g, '')})`;
  return new Refusal({ status: 502, reason: 'unreachable', words });
}
