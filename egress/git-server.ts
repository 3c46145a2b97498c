import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type DialOptions, dial } from './dial.ts';
import { dialTls } from './dial-tls.ts';
import { gitRedaction } from './git-redaction.ts';
import type { GitRoute } from './git-route.ts';
import { Refusal } from './refusal.ts';

/** A repository where it really is, asked with its credential. */
export interface GitServer {
  /**
   * Asks, and passes on nothing of an answer that is not Git's.
   *
   * @throws {Refusal} in words that hold nothing of what the server said.
   * @throws what the body throws: the request is then cut off.
   */
  ask(request: GitRequest): Promise<GitAnswer>;
}

export interface GitRequest extends Pick<GitRoute, 'service' | 'step'> {
  /** Version of the protocol that is asked for; of `Git-Protocol`. */
  readonly protocol?: string | undefined;
  readonly body?: GitBody;
}

export interface GitBody {
  readonly content: AsyncIterable<Buffer>;
  /** Undefined: nobody knows it beforehand. */
  readonly length?: number | undefined;
  readonly encoding?: 'gzip' | undefined;
  /** It may throw to its very end: no answer is believed before. */
  readonly isConditional?: boolean;
}

export interface GitAnswer {
  /** To be read to its end, or destroyed. */
  readonly content: Readable;
  readonly length: number | undefined;
}

export interface GitServerOptions {
  /** Of the repository. */
  readonly url: URL;
  readonly username: string;
  readonly secret: string;
  readonly dialling: DialOptions;
  /** Silence after which the server is given up. */
  readonly idleMs: number;
  /** Aborted when nobody waits for an answer any more. */
  readonly signal?: AbortSignal;
}

const PROTOCOL = /^[a-z0-9=:-]{1,100}$/;
const OK = 200;
const USER_AGENT = 'git/2 (drover)';

export function createGitServer(options: GitServerOptions): GitServer {
  const { url, username, secret } = options;
  const authorization = `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`;
  return {
    async ask(request) {
      const socket = await dialServer(options);
      const giveUp = (): void => void socket.destroy();
      options.signal?.addEventListener('abort', giveUp, { once: true });
      if (options.signal?.aborted === true) giveUp();
      try {
        const answer = await send(socket, request, { url, authorization });
        checkAnswer(answer, request, url.hostname);
        const content = gitRedaction(secret);
        pipeline(answer, content)
          .catch(() => {})
          .finally(() => socket.destroy());
        return { content, length: lengthOf(answer.headers['content-length']) };
      } catch (error) {
        socket.destroy();
        throw error;
      }
    },
  };
}

async function dialServer({ url, dialling, idleMs }: GitServerOptions): Promise<Socket> {
  const isTls = url.protocol === 'https:';
  const target = { host: url.hostname, port: Number(url.port) || (isTls ? 443 : 80) };
  const socket = await dial(target, dialling);
  socket.setTimeout(idleMs, () => socket.destroy());
  if (isTls) return dialTls(socket, target, dialling);
  const { remoteAddress = '', remoteFamily } = socket;
  const family = remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4';
  // Anybody on the way could read the credential, unless the network is the operator's own.
  if (dialling.privateNetworks.check(remoteAddress, family)) return socket;
  socket.destroy();
  throw new Refusal({
    status: 403,
    reason: 'credential',
    words: `the credential would go to ${url.hostname} unencrypted; name the repository by https://`,
  });
}

async function send(
  socket: Socket,
  { service, step, protocol, body }: GitRequest,
  { url, authorization }: { readonly url: URL; readonly authorization: string },
): Promise<IncomingMessage> {
  const base = url.pathname.replace(/\/+$/, '');
  const path = step === 'advertise' ? `/info/refs?service=${service}` : `/${service}`;
  const onward = httpRequest({
    createConnection: () => socket,
    method: step === 'advertise' ? 'GET' : 'POST',
    path: `${base}${path}`,
    setHost: false,
    headers: {
      Host: url.host,
      'User-Agent': USER_AGENT,
      Accept: '*/*',
      'Accept-Encoding': 'identity',
      Authorization: authorization,
      ...(protocol !== undefined && PROTOCOL.test(protocol) ? { 'Git-Protocol': protocol } : {}),
      ...(body === undefined ? {} : bodyHeaders(service, body)),
      Connection: 'close',
    },
  });
  const answered = Promise.withResolvers<IncomingMessage>();
  onward.once('response', answered.resolve);
  onward.on('error', (error) => answered.reject(unreachable(url.hostname, 'no answer', error)));
  onward.once('close', () => answered.reject(unreachable(url.hostname, 'no answer')));
  answered.promise.catch(() => {});
  if (body === undefined) {
    onward.end();
    return answered.promise;
  }
  const sent = pipeline(watched(body.content), onward).catch((error: unknown) => {
    if (error instanceof BodyError) throw error.cause;
    // Otherwise it is the server that did not take it: its answer tells, if there is one.
  });
  sent.catch(() => {});
  // One that is cut off by its own body fails by that, not for want of an answer.
  const answer = await answered.promise.catch(async (error: unknown) => {
    await sent;
    throw error;
  });
  // Servers begin to say that all is well before they have read anything.
  if (body.isConditional === true && answer.statusCode === OK) await sent;
  return answer;
}

/** What reading the body failed with, as opposed to sending it. */
class BodyError extends Error {
  override readonly name = 'BodyError';
}

async function* watched(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* content;
  } catch (cause) {
    throw new BodyError('the body failed', { cause });
  }
}

function bodyHeaders(
  service: string,
  { length, encoding }: GitBody,
): Readonly<Record<string, string>> {
  return {
    'Content-Type': `application/x-${service}-request`,
    ...(encoding === undefined ? {} : { 'Content-Encoding': encoding }),
    ...(length === undefined
      ? { 'Transfer-Encoding': 'chunked' }
      : { 'Content-Length': String(length) }),
  };
}

/** @throws {Refusal} */
function checkAnswer(answer: IncomingMessage, request: GitRequest, host: string): void {
  const { statusCode = 0, headers } = answer;
  const kind = request.step === 'advertise' ? 'advertisement' : 'result';
  const isOfGit = headers['content-type'] === `application/x-${request.service}-${kind}`;
  const isPlain = (headers['content-encoding'] ?? 'identity') === 'identity';
  if (statusCode === OK && isOfGit && isPlain) return;
  throw new Refusal({ status: 502, reason: 'upstream', words: wordsOf(statusCode, host) });
}

function wordsOf(status: number, host: string): string {
  if (status === OK) return `${host} answered, but not as a Git server does`;
  if (status === 401) return `${host} does not take the credential of this repository (401)`;
  if (status === 403) return `${host} forbids this with the credential of this repository (403)`;
  if (status === 404) {
    return `${host} has no such repository, or not for the credential of this repository (404)`;
  }
  if (status >= 300 && status < 400) {
    return (
      `${host} says that the repository is elsewhere (${status}), and redirects are not followed; ` +
      'the url of the resource must be its own'
    );
  }
  return `${host} failed (${status})`;
}

function unreachable(host: string, what: string, error?: unknown): Refusal {
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  const words = `${host} gave ${what}${code.replace(/[^\w ()]/g, '')}`;
  return new Refusal({ status: 502, reason: 'unreachable', words });
}

function lengthOf(header: string | undefined): number | undefined {
  return header === undefined ? undefined : Number(header);
}
