import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { PayloadCodec } from '@temporalio/common';
import { fromPayloadsJson, toPayloadsJson } from './payloads-json.ts';

export interface CodecServerOptions {
  readonly codec: PayloadCodec;
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Of the pages that may ask, such as `http://localhost:8233`. */
  readonly origins: readonly string[];
  /** Everybody who asks must show it as a bearer token. Null: nobody must. */
  readonly token: string | null;
}

export interface CodecServer {
  readonly url: string;
  close(): Promise<void>;
}

/** A page of a history, in base64. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/**
 * Answers `POST /encode` and `POST /decode` as Temporal's codec server contract has it, for the
 * Web UI and `temporal --codec-endpoint`. What cannot be read comes back as words.
 */
export function serveCodec(options: CodecServerOptions): Promise<CodecServer> {
  const server = createServer((request, response) => {
    void answer(options, request, response).catch((error: unknown) => {
      // The ring may have become unreadable; nothing of it is said.
      fail(response, error instanceof Refusal ? error : new Refusal(500, 'it failed here'));
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      const { port } = server.address() as AddressInfo;
      const host = options.host.includes(':') ? `[${options.host}]` : options.host;
      resolve({
        url: `http://${host}:${port}`,
        close: () => {
          server.closeAllConnections();
          return new Promise((closed) => server.close(() => closed()));
        },
      });
    });
  });
}

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function answer(
  { codec, origins, token }: CodecServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  allowOrigin(request, response, origins);
  if (request.method === 'OPTIONS') {
    response.writeHead(204).end();
    return;
  }
  if (token !== null) checkToken(request, token);
  const [, action] = /\/(encode|decode)$/.exec(pathOf(request)) ?? [];
  if (action === undefined) throw new Refusal(404, 'there are /encode and /decode');
  if (request.method !== 'POST') throw new Refusal(405, 'only POST is answered');
  const payloads = parse(await readBody(request));
  const done = action === 'encode' ? await codec.encode(payloads) : await codec.decode(payloads);
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(toPayloadsJson(done)));
}

/** A page of anybody's may reach a loopback address: only the Web UI's own may ask. */
function allowOrigin(
  request: IncomingMessage,
  response: ServerResponse,
  origins: readonly string[],
): void {
  const { origin } = request.headers;
  response.setHeader('vary', 'origin');
  if (origin === undefined) return;
  if (!origins.includes(origin)) {
    throw new Refusal(403, `pages of ${origin} may not ask; --origin ${origin} would allow them`);
  }
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-allow-credentials', 'true');
  if (request.method !== 'OPTIONS') return;
  const headers = request.headers['access-control-request-headers'] ?? 'content-type';
  response.setHeader('access-control-allow-headers', headers);
  response.setHeader('access-control-allow-methods', 'POST, OPTIONS');
  response.setHeader('access-control-allow-private-network', 'true');
  response.setHeader('access-control-max-age', '600');
}

function checkToken(request: IncomingMessage, token: string): void {
  const shown = request.headers.authorization ?? '';
  if (timingSafeEqual(digest(shown), digest(`Bearer ${token}`))) return;
  throw new Refusal(401, 'show the token: --codec-auth "Bearer …", or the Web UI’s access token');
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function pathOf({ url = '' }: IncomingMessage): string {
  return URL.parse(url, 'http://codec')?.pathname ?? '';
}

async function readBody(request: IncomingMessage): Promise<string> {
  const tooLarge = new Refusal(413, `over ${MAX_BODY_BYTES} bytes at once`);
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw tooLarge;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(body: string): ReturnType<typeof fromPayloadsJson> {
  try {
    return fromPayloadsJson(JSON.parse(body));
  } catch {
    throw new Refusal(
      400,
      'the body must be {"payloads": […]} as Temporal writes payloads in JSON',
    );
  }
}

function fail(response: ServerResponse, { status, message }: Refusal): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // What is left of a body is not read.
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify({ message: `drover codec-server: ${message}` }));
}
