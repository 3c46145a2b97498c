import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { ClusterAccess } from './cluster-access.ts';
import { ClusterError, toClusterError } from './cluster-error.ts';
import { onceStarted } from './once-started.ts';

export interface ClusterRequest {
  readonly method: 'GET' | 'POST' | 'DELETE' | 'PATCH';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 15_000;

/** One request of the cluster's API. @throws ClusterError */
export async function requestJson(
  access: ClusterAccess,
  request: ClusterRequest,
): Promise<unknown> {
  const text = await onceStarted(
    () => requestText(access, request),
    () => isReady(access),
  );
  return JSON.parse(text) as unknown;
}

async function requestText(access: ClusterAccess, request: ClusterRequest): Promise<string> {
  const signal = AbortSignal.any([
    AbortSignal.timeout(TIMEOUT_MS),
    ...(request.signal === undefined ? [] : [request.signal]),
  ]);
  return textOf(await send(access, { ...request, signal }), request);
}

async function isReady(access: ClusterAccess): Promise<boolean> {
  try {
    await requestText(access, { method: 'GET', path: '/readyz' });
    return true;
  } catch {
    return false;
  }
}

export interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

/** What comes of a watch until its signal aborts or the server ends it. @throws ClusterError */
export async function* watchJson(
  access: ClusterAccess,
  request: ClusterRequest & { readonly signal: AbortSignal },
): AsyncGenerator<WatchEvent> {
  const response = await onceStarted(
    () => send(access, request),
    () => isReady(access),
  );
  let rest = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as WatchEvent;
    }
  } catch (error) {
    if (request.signal.aborted) return;
    throw new ClusterError(0, `${describe(request)}: the watch was cut`, { cause: error });
  }
}

async function send(access: ClusterAccess, request: ClusterRequest): Promise<IncomingMessage> {
  const { method, path, query = {}, body, signal } = request;
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const url = new URL(path, access.server);
  url.search = new URLSearchParams(query).toString();
  const { headers, ...options } = await access.requestOptions();
  const text = body === undefined ? undefined : JSON.stringify(body);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = httpsRequest(
      url,
      {
        ...options,
        method,
        headers: { ...headers, ...headersOf(type, text) },
        ...(signal === undefined ? {} : { signal }),
      },
      resolve,
    );
    outgoing.on('error', (error) => {
      const message = `${describe(request)}: ${access.server.host} did not answer: ${error.message}`;
      reject(new ClusterError(0, message, { cause: error }));
    });
    outgoing.end(text);
  });
  const { statusCode = 0 } = response;
  if (statusCode >= 200 && statusCode < 300) return response;
  throw toClusterError(statusCode, await textOf(response, request), describe(request));
}

/** With its length said, or a DELETE would send its body as the start of the next request. */
function headersOf(type: string, text: string | undefined): Record<string, string> {
  const accept = { accept: 'application/json' };
  if (text === undefined) return accept;
  const length = String(Buffer.byteLength(text));
  return { ...accept, 'content-type': type, 'content-length': length };
}

async function textOf(response: IncomingMessage, request: ClusterRequest): Promise<string> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('utf8');
  } catch (error) {
    throw new ClusterError(0, `${describe(request)}: the answer was cut`, { cause: error });
  }
}

function describe({ method, path }: ClusterRequest): string {
  return `${method} ${path}`;
}
