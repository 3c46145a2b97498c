import type { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import WebSocket from 'ws';
import type { ClusterAccess } from './cluster-access.ts';
import { ClusterError, statusMessage, toClusterError } from './cluster-error.ts';

const PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const CHANNEL = { input: 0, output: 1, errors: 2, status: 3 } as const;
const HANDSHAKE_MS = 10_000;
const MAX_FRAME_BYTES = 64 * 1024;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const MAX_ERRORS_LENGTH = 500;

export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
}

/**
 * Standard input and output of a command in a container. A transport, not the truth: it may end
 * without a word, or never.
 *
 * @throws ClusterError when the cluster does not open it.
 */
export async function openExecStream(access: ClusterAccess, target: ExecTarget): Promise<Duplex> {
  const { agent: _kept, ...options } = await access.requestOptions();
  const socket = new WebSocket(urlOf(access.server, target), PROTOCOLS, {
    ...options,
    handshakeTimeout: HANDSHAKE_MS,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
  });
  const stream = new ExecStream(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('unexpected-response', (_request, response) => {
      void refusal(response, target).then(reject);
      socket.terminate();
    });
    // What ends a stream that is not open yet.
    stream.once('error', (error) => {
      reject(new ClusterError(0, `exec in pod ${target.pod}: ${error.message}`, { cause: error }));
    });
  });
  return stream;
}

class ExecStream extends Duplex {
  readonly #socket: WebSocket;
  #errors = '';
  /** All that was said has come: it ends when it has been read. */
  #hasSucceeded = false;

  constructor(socket: WebSocket) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    // A hand that idles must not keep a worker from ending.
    socket.on('upgrade', (response) => response.socket.unref());
    socket.on('message', (data) => this.#onMessage(data as Buffer));
    socket.on('close', () => {
      if (!this.#hasSucceeded) this.destroy();
    });
    socket.on('error', (error) => this.destroy(error));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    for (let start = 0; start < chunk.length; start += MAX_FRAME_BYTES) {
      const part = chunk.subarray(start, start + MAX_FRAME_BYTES);
      const isLast = start + MAX_FRAME_BYTES >= chunk.length;
      const frame = Buffer.concat([Buffer.of(CHANNEL.input), part]);
      this.#socket.send(frame, isLast ? done : undefined);
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.terminate();
    done(error);
  }

  #onMessage(data: Buffer): void {
    const content = data.subarray(1);
    switch (data[0]) {
      case CHANNEL.output:
        if (!this.push(content)) this.#socket.pause();
        return;
      case CHANNEL.errors:
        this.#errors = `${this.#errors}${content}`.slice(-MAX_ERRORS_LENGTH);
        return;
      case CHANNEL.status: {
        if (isSuccess(content.toString('utf8'))) {
          this.#hasSucceeded = true;
          this.push(null);
          return;
        }
        const said = `${statusMessage(content.toString('utf8')) ?? 'it ended'} ${this.#errors}`;
        this.destroy(new ClusterError(0, said.trim()));
        return;
      }
      default:
    }
  }
}

function isSuccess(status: string): boolean {
  try {
    return (JSON.parse(status) as { readonly status?: unknown }).status === 'Success';
  } catch {
    return false;
  }
}

function urlOf(server: URL, { namespace, pod, container, command }: ExecTarget): URL {
  const url = new URL(`/api/v1/namespaces/${namespace}/pods/${pod}/exec`, server);
  url.protocol = server.protocol === 'http:' ? 'ws:' : 'wss:';
  const fixed = { container, stdin: 'true', stdout: 'true', stderr: 'true', tty: 'false' };
  const query = new URLSearchParams(fixed);
  for (const word of command) query.append('command', word);
  url.search = query.toString();
  return url;
}

async function refusal(response: IncomingMessage, { pod }: ExecTarget): Promise<ClusterError> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch {
    // The status says enough.
  }
  const body = Buffer.concat(chunks).toString('utf8');
  return toClusterError(response.statusCode ?? 0, body, `exec in pod ${pod}`);
}
