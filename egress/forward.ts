import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { forwardedHeaders, type Header } from './forward-headers.ts';
import { Refusal } from './refusal.ts';
import { type Replacement, replaceAll, replacing } from './replace-bytes.ts';
import type { Rewriting } from './substitution.ts';
import { DEFAULT_PORT, type HttpTarget } from './target.ts';

export interface Onward {
  readonly target: HttpTarget;
  /** Closed by `forward`. Of TLS, for a target that is. */
  readonly upstream: Socket;
  /** Default: everything goes as it is. */
  readonly rewriting?: Rewriting;
}

/** Up to this length a body that changes is sent with its new length, which some servers insist on. */
const MOST_KEPT_BYTES = 256 * 1024;

/**
 * Sends a request on and its answer back, both as streams. What goes on is written anew from what
 * was understood: the host is that of the target whatever the client's own header says, and where a
 * body ends is said once.
 *
 * @throws {Refusal} Nothing was answered yet.
 */
export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  { target, upstream, rewriting }: Onward,
): Promise<void> {
  try {
    const { headers, send } = await toBody(request, rewriting);
    const onward = httpRequest({
      createConnection: () => upstream,
      method: request.method,
      path: target.path,
      setHost: false,
      headers: [...onwardHeaders(request, target, rewriting), ...headers].flat(),
    });
    response.on('error', () => {});
    response.once('close', () => onward.destroy());
    const answered = answerTo(onward);
    onward.flushHeaders();
    // Its failure ends `onward` too. An answer may come before the whole body has gone.
    send(onward).catch(() => {});
    await reply(await answered, response, rewriting);
  } catch (error) {
    if (response.headersSent) response.destroy();
    else throw toRefusal(error, target);
  } finally {
    upstream.destroy();
  }
}

interface Body {
  /** How it is framed. */
  readonly headers: readonly Header[];
  send(onward: ClientRequest): Promise<void>;
}

const CHUNKED: Header = ['Transfer-Encoding', 'chunked'];

async function toBody(request: IncomingMessage, rewriting: Rewriting | undefined): Promise<Body> {
  const { 'transfer-encoding': coding, 'content-length': length } = request.headers;
  const isEmpty = coding === undefined && Number(length ?? 0) === 0;
  const replacements = isEmpty ? undefined : rewriting?.requestBody(request.headers);
  if (replacements !== undefined) return toChangedBody(request, replacements);
  const headers: Header[] = [];
  if (coding !== undefined) headers.push(CHUNKED);
  else if (length !== undefined) headers.push(['Content-Length', length]);
  return { headers, send: (onward) => pipeline(request, onward) };
}

async function toChangedBody(
  request: IncomingMessage,
  replacements: readonly Replacement[],
): Promise<Body> {
  const { 'content-length': length } = request.headers;
  if (length === undefined || Number(length) > MOST_KEPT_BYTES) {
    const send = (onward: ClientRequest) => pipeline(request, replacing(replacements), onward);
    return { headers: [CHUNKED], send };
  }
  const body = replaceAll(await buffer(request), replacements);
  return {
    headers: [['Content-Length', String(body.length)]],
    send: async (onward) => void onward.end(body),
  };
}

function onwardHeaders(
  { rawHeaders }: IncomingMessage,
  { host, port, scheme }: HttpTarget,
  rewriting: Rewriting | undefined,
): readonly Header[] {
  const authority = port === DEFAULT_PORT[scheme] ? host : `${host}:${port}`;
  const given = forwardedHeaders(rawHeaders, ['host', 'expect', 'content-length']);
  const headers = rewriting?.requestHeaders(given) ?? given;
  return [['Host', authority], ...headers, ['Connection', 'close']];
}

function answerTo(onward: ClientRequest): Promise<IncomingMessage> {
  const answered = Promise.withResolvers<IncomingMessage>();
  onward.once('response', answered.resolve);
  onward.on('error', answered.reject);
  onward.once('close', () => answered.reject(new Error('no answer')));
  // Nobody asked for another protocol.
  onward.once('upgrade', (_answer, socket: Socket) => socket.destroy());
  return answered.promise;
}

async function reply(
  answer: IncomingMessage,
  response: ServerResponse,
  rewriting: Rewriting | undefined,
): Promise<void> {
  const { statusCode = 502, statusMessage = '', rawHeaders } = answer;
  if (rewriting === undefined) {
    response.writeHead(statusCode, statusMessage, forwardedHeaders(rawHeaders).flat());
    response.flushHeaders();
    await pipeline(answer, response);
    return;
  }
  const hasBody = response.req.method !== 'HEAD' && ![204, 304].includes(statusCode);
  // Its length may change.
  const given = forwardedHeaders(rawHeaders, hasBody ? ['content-length'] : []);
  const through = hasBody ? rewriting.answerBody(answer.headers) : [];
  const headers = rewriting.answerHeaders(given).flat();
  response.writeHead(statusCode, rewriting.answerText(statusMessage), headers);
  response.flushHeaders();
  await pipeline([answer, ...through, response]);
}

function toRefusal(error: unknown, { host }: HttpTarget): Refusal {
  if (error instanceof Refusal) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
  const words = `host ${host} gave no answer that can be passed on (${code.replace(/[^\w ]/g, '')})`;
  return new Refusal({ status: 502, reason: 'unreachable', words });
}
