import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { checkAllowed } from './allowed-target.ts';
import { addressOf, authorize, plainAddress } from './authorize.ts';
import { ConnectionCounts } from './connection-counts.ts';
import { type DialOptions, dial } from './dial.ts';
import { forward } from './forward.ts';
import type { HandToken } from './hand-token.ts';
import type { EgressKeys } from './keys.ts';
import { answerOf, Refusal } from './refusal.ts';
import {
  checkFraming,
  type HttpTarget,
  parseConnectTarget,
  parseHttpTarget,
  type Target,
} from './target.ts';
import { tunnel } from './tunnel.ts';

export interface EgressProxyOptions extends DialOptions {
  /** Asked for each request. */
  readKeys(): EgressKeys;
  /** Gets one object for each request that was refused, with nothing secret in it. */
  log(line: object): void;
  /** Requests and tunnels that one hand may have open. */
  readonly mostPerHand: number;
  /** Silence, in both directions, after which a connection is closed. */
  readonly idleMs: number;
  /** Time in which the head of a request must be there. */
  readonly headersMs: number;
}

export interface EgressProxy {
  readonly server: Server;
  /** Takes no more, lets what is under way end within the time given, and then cuts it. */
  stop(graceMs: number): Promise<void>;
}

/** A token names many hosts, and is encoded twice. */
const MAX_HEADER_BYTES = 32 * 1024;
/** Those of one address that have said nothing yet are among them. */
const CONNECTIONS_PER_REQUEST = 2;
const MOST_CONNECTIONS = 8_192;
const CHECK_INTERVAL_MS = 1_000;
/** A refused client has this long to take the answer. */
const FAREWELL_MS = 5_000;

/**
 * The one way out of hands with `networking.allowed_hosts`: an HTTP proxy that asks each request for
 * its hand's token, and lets it through to the hosts that the token names. It keeps nothing.
 */
export function createEgressProxy(options: EgressProxyOptions): EgressProxy {
  return new Proxying(options);
}

class Proxying implements EgressProxy {
  readonly server: Server;
  readonly #options: EgressProxyOptions;
  readonly #sockets = new Set<Socket>();
  readonly #perHand: ConnectionCounts;
  readonly #perAddress: ConnectionCounts;

  constructor(options: EgressProxyOptions) {
    this.#options = options;
    this.#perHand = new ConnectionCounts(options.mostPerHand);
    this.#perAddress = new ConnectionCounts(options.mostPerHand * CONNECTIONS_PER_REQUEST);
    this.server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: options.headersMs,
      requestTimeout: 0,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      noDelay: true,
    });
    this.server.maxConnections = MOST_CONNECTIONS;
    this.server.timeout = options.idleMs;
    this.server.on('connection', (socket) => this.#admit(socket));
    this.server.on('connect', (request: IncomingMessage, client: Duplex, head: Buffer) => {
      void this.#connect(request, client, head);
    });
    this.server.on('request', (request, response) => void this.#request(request, response));
    this.server.on('checkContinue', (request, response) => void this.#request(request, response));
    this.server.on('clientError', (error, socket) => this.#unreadable(error, socket as Socket));
  }

  async stop(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(timer);
  }

  /** One hand that opens connections and says nothing must leave some to others. */
  #admit(socket: Socket): void {
    const release = this.#perAddress.take(plainAddress(socket.remoteAddress ?? ''));
    if (release === undefined) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      release();
    });
  }

  async #connect(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    const idle = this.#options.idleMs;
    (client as Socket).setTimeout(idle, () => client.destroy());
    client.on('error', () => {});
    try {
      await this.#through(request, parseConnectTarget, async (_target, upstream) =>
        tunnel(client, head, upstream),
      );
    } catch (error) {
      sayGoodbye(client as Socket, asRefusal(error));
    }
  }

  async #request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const parse = (text: string): HttpTarget => {
        checkFraming(request.headers);
        return parseHttpTarget(text);
      };
      await this.#through(request, parse, (target, upstream) => {
        if (request.headers.expect !== undefined) response.writeContinue();
        return forward(request, response, target, upstream);
      });
    } catch (error) {
      const { status, statusText, headers, body } = answerOf(asRefusal(error));
      if (!response.headersSent) response.writeHead(status, statusText, headers).end(body);
    }
  }

  /** Checks a request, in the order in which it makes sense to say what is wrong, and dials. */
  async #through<T extends Target>(
    request: IncomingMessage,
    parse: (text: string) => T,
    carry: (target: T, upstream: Socket) => Promise<void>,
  ): Promise<void> {
    const known: { target?: Target; token?: HandToken } = {};
    try {
      const target = parse(request.url ?? '');
      known.target = target;
      const token = authorize(request, this.#options.readKeys);
      known.token = token;
      checkAllowed(token.hosts, target);
      const release = this.#take(token);
      try {
        const upstream = await dial(target, this.#options);
        if (request.socket.destroyed) upstream.destroy();
        else await carry(target, upstream);
      } finally {
        release();
      }
    } catch (error) {
      this.#logRefusal(asRefusal(error), { from: addressOf(request), ...known });
      throw error;
    }
  }

  #take({ hand }: HandToken): () => void {
    const release = this.#perHand.take(hand);
    if (release !== undefined) return release;
    const words = `this hand has ${this.#options.mostPerHand} connections open, the most it may`;
    throw new Refusal({ status: 429, reason: 'too-many-connections', words });
  }

  /** What cannot be read as a request: it is not guessed at. */
  #unreadable(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const refusal = new Refusal({ reason: 'malformed', ...whyUnreadable(error) });
    this.#logRefusal(refusal, { from: plainAddress(socket.remoteAddress ?? '') });
    sayGoodbye(socket, refusal);
  }

  #logRefusal(
    { status, reason, message, cause }: Refusal,
    about: { readonly from: string; readonly target?: Target; readonly token?: HandToken },
  ): void {
    this.#options.log({
      time: new Date().toISOString(),
      event: 'refused',
      status,
      reason,
      words: message,
      from: about.from,
      host: about.target?.host ?? null,
      port: about.target?.port ?? null,
      session: about.token?.session ?? null,
      hand: about.token?.hand ?? null,
      ...(cause instanceof Error ? { fault: cause.message } : {}),
    });
  }
}

function whyUnreadable({ code }: NodeJS.ErrnoException): { status: number; words: string } {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return { status: 431, words: `the head of a request has at most ${MAX_HEADER_BYTES} bytes` };
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: 408, words: 'the head of the request did not come in time' };
  }
  return { status: 400, words: `the request cannot be read (${code ?? 'no HTTP'})` };
}

/** A fault of ours is refused too: nothing is let through that was not checked. */
function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const words = 'the proxy failed';
  return new Refusal({ status: 500, reason: 'misconfigured', words, cause: error });
}

/** Answers where there is no response object. */
function sayGoodbye(socket: Socket, refusal: Refusal): void {
  if (socket.destroyed) return;
  const { status, statusText, headers, body } = answerOf(refusal);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.setTimeout(FAREWELL_MS, () => socket.destroy());
  socket.end([`HTTP/1.1 ${status} ${statusText}`, ...lines, '', body].join('\r\n'));
  // What the client still sends must not keep the answer from it.
  socket.resume();
}
