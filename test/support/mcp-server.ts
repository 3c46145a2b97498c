import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

type Json = Readonly<Record<string, unknown>>;

export interface McpRequest {
  readonly id: number;
  readonly method: string;
  readonly params: Json;
  readonly authorization: string | undefined;
}

/** What a test's own server does. Every answer can be as wrong as the test wants. */
export interface McpServerScript {
  /** Of one page; with `nextCursor` there is another. */
  tools?(cursor: string | undefined): { tools: readonly unknown[]; nextCursor?: string };
  /** The result of a call; a string is its text. It may answer by itself, and return nothing. */
  call?(
    request: McpRequest,
    response: ServerResponse,
  ): Promise<Json | string | undefined> | Json | string | undefined;
  /** Tokens that are good now. Undefined: nobody is asked for one. */
  accepts?(token: string | undefined): boolean;
  /** Answers any request before anything else; true when it did. */
  before?(request: IncomingMessage, response: ServerResponse): boolean;
}

export interface OwnMcpServer {
  readonly url: string;
  readonly port: number;
  /** Every JSON-RPC message that was let in. */
  readonly requests: readonly McpRequest[];
  /** Authorization headers of every HTTP request, let in or not. */
  readonly authorizations: readonly (string | undefined)[];
  stop(): Promise<void>;
}

export const ECHO = {
  name: 'echo',
  description: 'Says it again',
  inputSchema: { type: 'object', properties: { message: { type: 'string' } } },
};

/** A small MCP server of streamable HTTP, answering in JSON and without sessions. */
export async function startMcpServer(
  script: McpServerScript = {},
  ownPort = 0,
): Promise<OwnMcpServer> {
  const requests: McpRequest[] = [];
  const authorizations: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    authorizations.push(request.headers.authorization);
    void answer(script, requests, request, response).catch(() => response.destroy());
  });
  server.listen(ownPort, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    port,
    requests,
    authorizations,
    async stop() {
      server.closeAllConnections();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(
  script: McpServerScript,
  requests: McpRequest[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (script.before?.(request, response) === true) return;
  const token = request.headers.authorization?.replace('Bearer ', '');
  if (script.accepts !== undefined && !script.accepts(token)) {
    response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
    return;
  }
  if (request.method !== 'POST') {
    response.writeHead(405).end();
    return;
  }
  const message = (await json(request)) as { id?: number; method: string; params?: Json };
  const { id, method, params = {} } = message;
  if (id === undefined) {
    requests.push({ id: -1, method, params, authorization: request.headers.authorization });
    response.writeHead(202).end();
    return;
  }
  const read = { id, method, params, authorization: request.headers.authorization };
  requests.push(read);
  const result = await resultOf(script, read, response);
  if (result !== undefined) sendMessage(response, { id, ...result });
}

async function resultOf(
  script: McpServerScript,
  request: McpRequest,
  response: ServerResponse,
): Promise<Json | undefined> {
  switch (request.method) {
    case 'initialize':
      return {
        result: {
          protocolVersion: '2025-06-18',
          capabilities: { tools: {} },
          serverInfo: { name: 'own', version: '1' },
        },
      };
    case 'tools/list': {
      const cursor = request.params['cursor'];
      const list = script.tools ?? (() => ({ tools: [ECHO] }));
      return { result: list(typeof cursor === 'string' ? cursor : undefined) };
    }
    case 'tools/call': {
      const result = await (script.call ?? echo)(request, response);
      if (typeof result === 'string') return { result: toText(result) };
      return result === undefined ? undefined : { result };
    }
    default:
      return { error: { code: -32601, message: `no method ${request.method}` } };
  }
}

function echo({ params }: McpRequest): string {
  return `Echo: ${String(Object(params['arguments']).message)}`;
}

export function toText(text: string): Json {
  return { content: [{ type: 'text', text }] };
}

export function sendMessage(response: ServerResponse, message: Json): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', ...message }));
}

/** Starts an answer as a stream, of which each message is one event. */
export function startStream(response: ServerResponse): (message: Json) => void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  return (message) => {
    response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
  };
}
