import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ApiError, checkRequest } from './check-request.ts';
import { playTurn } from './play-turn.ts';
import type { Player, RehearsalRequest } from './player.ts';

/** Says on every response, error or not, that no model made it. */
export const REHEARSAL_HEADER = 'x-rehearsal';

export interface RecordedRequest {
  /** When its head had come, by `performance.now()`: a long body takes its time. */
  readonly headAtMs: number;
  /** When the whole request had come, by `performance.now()`. */
  readonly atMs: number;
  readonly headers: IncomingMessage['headers'];
  /** As sent. */
  readonly text: string;
  readonly body: RehearsalRequest;
  /** Settles when the response ended or the client went away. */
  readonly closed: Promise<void>;
}

export interface RehearsalServer {
  /** Base URL for the SDK. */
  readonly url: string;
  /** Requests in the order of their arrival, those that were refused included. */
  readonly requests: readonly RecordedRequest[];
  /** Drops open streams. */
  close(): Promise<void>;
}

export interface RehearsalOptions {
  readonly player: Player;
  /** Default: one that is free. */
  readonly port?: number;
  /** Default: the loopback interface. */
  readonly host?: string;
  /** The only key that is let in. Default: any. */
  readonly apiKey?: string;
}

/** A stand-in for the Messages API. The caller closes it. */
export async function startRehearsalServer(options: RehearsalOptions): Promise<RehearsalServer> {
  const requests: RecordedRequest[] = [];
  const server = createServer((incoming, response) => {
    serve(incoming, response, requests, options).catch((error: unknown) => {
      fail(response, {
        status: 500,
        type: 'api_error',
        message: `rehearsal: ${error instanceof Error ? error.message : String(error)}`,
      });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(
  incoming: IncomingMessage,
  response: ServerResponse,
  requests: RecordedRequest[],
  options: RehearsalOptions,
): Promise<void> {
  const headAtMs = performance.now();
  const path = new URL(incoming.url ?? '/', 'http://rehearsal').pathname;
  if (incoming.method !== 'POST' || path !== '/v1/messages') {
    return fail(response, { status: 404, type: 'not_found_error', message: 'Not found' });
  }
  const text = await readText(incoming);
  const body = parse(text);
  const index = requests.length;
  const closed = new Promise<void>((resolve) => response.once('close', resolve));
  const { headers } = incoming;
  const atMs = performance.now();
  requests.push({ headAtMs, atMs, headers, text, body: body as RehearsalRequest, closed });
  const problem = wrongKey(incoming, options) ?? checkRequest(headers, body);
  if (problem !== undefined) return fail(response, problem);
  const request = body as RehearsalRequest;
  const turn = await options.player(request, { index });
  labelled(response, `req_rehearsal_${index}`);
  await playTurn(turn, request, response);
}

async function readText(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function wrongKey(
  { headers }: IncomingMessage,
  { apiKey }: RehearsalOptions,
): ApiError | undefined {
  const given = headers['x-api-key'] ?? headers.authorization?.replace(/^Bearer /, '');
  if (apiKey === undefined || given === undefined || given === apiKey) return undefined;
  return { status: 401, type: 'authentication_error', message: 'invalid x-api-key' };
}

function labelled(response: ServerResponse, requestId: string): void {
  response.setHeader(REHEARSAL_HEADER, 'no model made this answer');
  response.setHeader('request-id', requestId);
}

/** What is wrong with us or with the script stays wrong: it is not to be tried again. */
function fail(response: ServerResponse, { status, type, message }: ApiError): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  labelled(response, 'req_rehearsal_refused');
  response.writeHead(status, { 'content-type': 'application/json', 'x-should-retry': 'false' });
  response.end(JSON.stringify({ type: 'error', error: { type, message } }));
}
