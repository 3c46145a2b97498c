import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { addressOf, giveAddress } from './address-of.ts';
import { checkAllowed } from './allowed-target.ts';
import { authorize, authorizeOwn, checkExpiry } from './authorize.ts';
import { ConnectionCounts } from './connection-counts.ts';
import { type DialOptions, dial } from './dial.ts';
import { dialTls } from './dial-tls.ts';
import { enterTunnel } from './enter-tunnel.ts';
import { forward } from './forward.ts';
import type { GatewayService } from './gateway-service.ts';
import type { HandToken } from './hand-token.ts';
import type { EgressKeys } from './keys.ts';
import { asRefusal, type Known, lineOf, sayGoodbye, whyUnreadable } from './last-words.ts';
import { answerOf, Refusal } from './refusal.ts';
import {
  checkFraming,
  type HttpTarget,
  parseConnectTarget,
  parseHttpTarget,
  parseTunnelledTarget,
  type Target,
} from './target.ts';
import { tunnel } from './tunnel.ts';
import type { VariableSubstitution } from './variable-substitution.ts';

export interface EgressProxyOptions extends DialOptions {
  /** Asked for each request. */
  readKeys(): EgressKeys;
  /** Gets one object for each request that was refused, with nothing secret in it. */
  log(line: object): void;
  /** What is done for hands with variables. */
  readonly substitution: VariableSubstitution;
  readonly services: readonly GatewayService[];
  /** Requests and tunnels that one hand may have open. */
  readonly mostPerHand: number;
  /** Silence, in both directions, after which a connection is closed. */
  readonly idleMs: number;
  /** Time in which the head of a request must be there. */
  readonly headersMs: number;
}

export interface EgressProxy {
  readonly server: Server;
  /** Serves a connection that did not come by the server's port, as one from this address. */
  serve(socket: Socket, address: string): void;
  /** Takes no more, lets what is under way end within the time given, and then cuts it. */
  stop(graceMs: number): Promise<void>;
}

/** A token names many hosts, variables and repositories, and is encoded twice. */
const MAX_HEADER_BYTES = 64 * 1024;
/** Encoded once, with room for everything else that a head holds. */
export const MAX_TOKEN_CHARACTERS = 30 * 1024;
/** Those of one address that have said nothing yet are among them. */
const CONNECTIONS_PER_REQUEST = 2;
const MOST_CONNECTIONS = 8_192;
const CHECK_INTERVAL_MS = 1_000;

/** A tunnel that was entered: its requests are its hand's, and go to its target. */
interface Entered {
  readonly token: HandToken;
  readonly target: Target;
  readonly scheme: HttpTarget['scheme'];
}

/**
 * The one way out of hands with `networking.allowed_hosts`, and of those with credentials: an HTTP
 * proxy that asks each request for its hand's token, and lets it through to the hosts that the token
 * names. It keeps nothing.
 */
export function createEgressProxy(options: EgressProxyOptions): EgressProxy {
  return new Proxying(options);
}

class Proxying implements EgressProxy {
  readonly server: Server;
  readonly #options: EgressProxyOptions;
  readonly #sockets = new Set<Socket>();
  readonly #entered = new WeakMap<Socket, Entered>();
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
      void this.#connect(request, client as Socket, head);
    });
    this.server.on('request', (request, response) => void this.#request(request, response));
    this.server.on('checkContinue', (request, response) => void this.#request(request, response));
    this.server.on('clientError', (error, socket) => this.#unreadable(error, socket as Socket));
  }

  serve(socket: Socket, address: string): void {
    giveAddress(socket, address);
    this.server.emit('connection', socket);
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
    if (this.#entered.has(socket)) return;
    const release = this.#perAddress.take(addressOf({ socket }));
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

  async #connect(request: IncomingMessage, client: Socket, head: Buffer): Promise<void> {
    client.setTimeout(this.#options.idleMs, () => client.destroy());
    client.on('error', () => {});
    const known: Known = {};
    try {
      if (this.#entered.has(request.socket)) throw new Refusal(TUNNEL_IN_TUNNEL);
      const target = parseConnectTarget(request.url ?? '');
      known.target = target;
      const token = authorize(request, this.#options.readKeys);
      known.token = token;
      checkAllowed(token.hosts, target);
      await this.#counted(token, () => this.#carry(client, head, { token, target }));
    } catch (error) {
      this.#logRefusal(asRefusal(error), request.socket, known);
      sayGoodbye(client, asRefusal(error));
    }
  }

  async #carry(
    client: Socket,
    head: Buffer,
    { token, target }: Omit<Entered, 'scheme'>,
  ): Promise<void> {
    const { substitution } = this.#options;
    if (!substitution.concerns(token, target)) {
      const upstream = await dial(target, this.#options);
      if (client.destroyed) upstream.destroy();
      else await tunnel(client, head, upstream);
      return;
    }
    const contextOf = substitution.prepare(target);
    // From here on there is only TLS to answer in.
    const entered = await enterTunnel(client, head, target, contextOf).catch(() => undefined);
    if (entered === undefined) {
      this.#logRefusal(new Refusal(NOT_ENTERED), client, { token, target });
      client.destroy();
      return;
    }
    const { socket, scheme } = entered;
    this.#entered.set(socket, { token, target, scheme });
    giveAddress(socket, addressOf({ socket: client }));
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    this.server.emit('connection', socket);
    await closed;
  }

  async #request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const known: Known = {};
    try {
      const entered = this.#entered.get(request.socket);
      if (entered !== undefined) await this.#inTunnel(request, response, entered, known);
      else await this.#plain(request, response, known);
    } catch (error) {
      this.#logRefusal(asRefusal(error), request.socket, known);
      const { status, statusText, headers, body } = answerOf(asRefusal(error));
      if (!response.headersSent) response.writeHead(status, statusText, headers).end(body);
    }
  }

  async #plain(request: IncomingMessage, response: ServerResponse, known: Known): Promise<void> {
    checkFraming(request.headers);
    const { services, readKeys } = this.#options;
    const { url: path = '' } = request;
    const service = services.find((one) => path.startsWith(one.path));
    if (service !== undefined) {
      const token = authorizeOwn(request, readKeys);
      known.token = token;
      await this.#counted(token, () => service.serve(request, response, { token, path }));
      return;
    }
    const target = parseHttpTarget(path);
    known.target = target;
    const token = authorize(request, readKeys);
    known.token = token;
    checkAllowed(token.hosts, target);
    await this.#counted(token, () => this.#forward(request, response, { token, target }));
  }

  async #inTunnel(
    request: IncomingMessage,
    response: ServerResponse,
    { token, target: tunnelled, scheme }: Entered,
    known: Known,
  ): Promise<void> {
    known.token = token;
    known.target = tunnelled;
    checkFraming(request.headers);
    checkExpiry(token);
    const target = parseTunnelledTarget(request, tunnelled, scheme);
    await this.#forward(request, response, { token, target });
  }

  async #forward(
    request: IncomingMessage,
    response: ServerResponse,
    { token, target }: { readonly token: HandToken; readonly target: HttpTarget },
  ): Promise<void> {
    const { substitution } = this.#options;
    const rewriting = await substitution.rewritingFor(token, target, request);
    const dialled = await dial(target, this.#options);
    const upstream =
      target.scheme === 'https' ? await dialTls(dialled, target, this.#options) : dialled;
    if (request.socket.destroyed) {
      upstream.destroy();
      return;
    }
    if (request.headers.expect !== undefined) response.writeContinue();
    const onward = rewriting === undefined ? { target, upstream } : { target, upstream, rewriting };
    await forward(request, response, onward);
  }

  async #counted(token: HandToken, carry: () => Promise<void>): Promise<void> {
    const release = this.#take(token);
    try {
      await carry();
    } finally {
      release();
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
    const refusal = new Refusal({
      reason: 'malformed',
      ...whyUnreadable(error, MAX_HEADER_BYTES),
    });
    this.#logRefusal(refusal, socket, this.#entered.get(socket) ?? {});
    sayGoodbye(socket, refusal);
  }

  #logRefusal(refusal: Refusal, from: Socket, known: Known): void {
    this.#options.log(lineOf(refusal, { from: addressOf({ socket: from }), ...known }));
  }
}

const TUNNEL_IN_TUNNEL = {
  status: 400,
  reason: 'malformed',
  words: 'a tunnel leads to one host, and no tunnel leads on from there',
} as const;

const NOT_ENTERED = {
  status: 525,
  reason: 'protocol',
  words: 'the client did not take HTTP/1.1 by TLS for the host that it named',
} as const;
