import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, connect as connectPlain, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { openSocketFolder } from '../../activities/hands/local/hand-folder.ts';
import { toBlockList } from '../../dial/public-addresses.ts';
import { createAuthority } from '../../egress/certificate.ts';
import { type CredentialUse, createCredentialUse } from '../../egress/credential-use.ts';
import { type HandTokenInput, signToken } from '../../egress/hand-token.ts';
import { type LocalListener, listenLocally } from '../../egress/local-listener.ts';
import { createEgressProxy, type EgressProxy } from '../../egress/proxy.ts';
import { createVariableSubstitution } from '../../egress/variable-substitution.ts';
import type { CredentialAuth } from '../../protocol/credential.ts';
import { SecretValue } from '../../vault/secret-value.ts';
import type { CredentialSecret } from '../../vault/vault.ts';
import { startUpstream, type Upstream } from './egress-upstream.ts';

export const VALUE = 'c4n4ry/+"V4lue';
export const PLACEHOLDER = 'drover_placeholder_0123456789abcdef';
export const HOST = 'api.test';
export const OTHER = 'other.test';
const KEY = { id: 'k1', secret: Buffer.alloc(32, 'k') };
export const KEYS = { signing: KEY, byId: new Map([[KEY.id, KEY]]) };
const AUTHORITY = createAuthority();
export const CERTIFICATE = AUTHORITY.certificate.toString();

export interface Heard {
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export const VARIABLE = {
  name: 'API_TOKEN',
  placeholder: PLACEHOLDER,
  vault_id: 'vault-1',
  credential_id: 'api',
  hosts: [HOST, `*.${HOST}`] as string[] | null,
  header: true,
  body: true,
};

export interface TunnelOptions {
  readonly host?: string;
  readonly port?: number;
  readonly token?: string;
  readonly serverName?: string;
  readonly protocols?: string[];
}

export interface AskOptions extends TunnelOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  /** Parts are sent one by one. */
  readonly body?: string | readonly string[];
}

export interface Answered {
  readonly status: number;
  readonly statusText: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A gateway with a variable for `HOST`, and a server behind it that is whatever host is asked for. */
export class VariableGateway {
  /** What the server was asked, oldest first. */
  heard: Heard[] = [];
  log: Record<string, unknown>[] = [];
  /** By default it says again what it heard. */
  answer: (response: ServerResponse, heard: Heard) => void = echo;
  /** What the vault says of the credential besides its value. */
  auth: Partial<Extract<CredentialAuth, { type: 'environment_variable' }>> = {};
  value = VALUE;
  /** What every name leads to. */
  address = '127.0.0.1';
  credentials: CredentialUse;
  port = 0;
  private readonly host: string;
  private upstream: Upstream | undefined;
  private proxy: EgressProxy | undefined;
  private local: LocalListener | undefined;

  /** @param host Where it listens. */
  constructor(host = '127.0.0.1') {
    this.host = host;
    this.credentials = this.knowing({});
  }

  get tlsPort(): number {
    return this.upstream?.tlsPort ?? 0;
  }

  get plainPort(): number {
    return this.upstream?.plainPort ?? 0;
  }

  get upstreamAuthority(): Buffer {
    return readFileSync(this.upstream?.caPath ?? '');
  }

  /** The way to the credential, of which some part is another. */
  knowing(change: Partial<Parameters<typeof createCredentialUse>[0]>): CredentialUse {
    return createCredentialUse({
      vault: { secret: async () => this.secret() },
      checkHeld: async () => {},
      checkPermitted: async () => {},
      ...change,
    });
  }

  secret(): CredentialSecret {
    return {
      type: 'environment_variable',
      secret_name: 'API_TOKEN',
      networking: { type: 'unrestricted' },
      injection_location: { header: true, body: true },
      ...this.auth,
      value: new SecretValue(this.value),
    };
  }

  async startServer(): Promise<void> {
    this.upstream = await startUpstream({
      names: `DNS:${HOST},DNS:${OTHER},DNS:sub.${HOST}`,
      host: '127.0.0.1',
      answer: (request, response) => {
        void text(request).then((body) => {
          const one = { url: request.url ?? '', headers: request.headers, body };
          this.heard.push(one);
          this.answer(response, one);
        });
      },
    });
  }

  async start(): Promise<void> {
    Object.assign(this, { heard: [], log: [], answer: echo, auth: {}, value: VALUE });
    this.address = '127.0.0.1';
    this.credentials = this.knowing({});
    const proxy = createEgressProxy({
      readKeys: () => KEYS,
      resolve: async () => [{ address: this.address, family: 4 }],
      privateNetworks: toBlockList(['127.0.0.0/8']),
      trusted: [this.upstreamAuthority.toString()],
      connectMs: 2_000,
      mostPerHand: 100,
      idleMs: 60_000,
      headersMs: 10_000,
      substitution: createVariableSubstitution({
        credentials: {
          admit: (...asked) => this.credentials.admit(...asked),
          secretFor: (...asked) => this.credentials.secretFor(...asked),
        },
        readAuthority: () => AUTHORITY,
      }),
      services: [],
      log: (line) => this.log.push(line as Record<string, unknown>),
    });
    proxy.server.listen(0, this.host);
    await once(proxy.server, 'listening');
    this.proxy = proxy;
    this.port = (proxy.server.address() as AddressInfo).port;
  }

  /** Hands of this machine reach it too. */
  async listenLocally(stateFolder: string): Promise<void> {
    const sockets = openSocketFolder(stateFolder);
    this.local = await listenLocally(sockets, (socket, address) =>
      this.proxy?.serve(socket, address),
    );
  }

  async stop(): Promise<void> {
    this.local?.close();
    await this.proxy?.stop(0);
  }

  async stopServer(): Promise<void> {
    await this.upstream?.close();
  }

  credentialsOf(change: Partial<HandTokenInput> = {}): string {
    const token = signToken(KEYS, {
      session: 'session-1',
      chain_id: 'chain-1',
      name: 'main',
      generation: 1,
      hand: 'hand-1',
      addresses: ['127.0.0.1'],
      hosts: null,
      variables: [VARIABLE],
      expires: 4_000_000_000,
      ...change,
    });
    return `Basic ${Buffer.from(`hand:${token}`).toString('base64')}`;
  }

  /** To the gateway's port. */
  dial(): Socket {
    return connectPlain(this.port, '127.0.0.1');
  }

  /** The client's side of a tunnel, or how it was refused. */
  async openTunnel(
    options: TunnelOptions = {},
  ): Promise<{ readonly socket: Socket; readonly status: number }> {
    const { host = HOST, port = this.tlsPort, token = this.credentialsOf() } = options;
    const socket = this.dial();
    socket.write(
      `CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\nProxy-Authorization: ${token}\r\n\r\n`,
    );
    const [head] = (await once(socket, 'data')) as [Buffer];
    return { socket, status: Number(head.toString().split(' ')[1]) };
  }

  /** TLS with the gateway, as the host. */
  async openTls(options: TunnelOptions = {}): Promise<TLSSocket> {
    const { socket } = await this.openTunnel(options);
    const tls = connectTls({
      socket,
      servername: options.serverName ?? options.host ?? HOST,
      ca: CERTIFICATE,
      ALPNProtocols: options.protocols ?? ['http/1.1'],
    });
    await once(tls, 'secureConnect');
    return tls;
  }

  async ask(options: AskOptions = {}): Promise<Answered> {
    const tls = await this.openTls(options);
    const response = await this.askOn(tls, options);
    const { statusCode = 0, statusMessage = '', headers } = response;
    const answered = { status: statusCode, statusText: statusMessage, headers };
    const body = await text(response);
    tls.destroy();
    return { ...answered, body };
  }

  async askOn(tls: TLSSocket, options: AskOptions = {}): Promise<IncomingMessage> {
    const { method = 'POST', path = '/', headers = {}, body = '', host = HOST } = options;
    const port = options.port ?? this.tlsPort;
    const createConnection = () => tls;
    const request = httpsRequest({ createConnection, host, port, method, path, headers });
    for (const part of typeof body === 'string' ? [] : body) {
      request.write(part);
      await new Promise((resolve) => setImmediate(resolve));
    }
    request.end(typeof body === 'string' ? body : undefined);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response;
  }
}

/** One server for a file of tests, and a gateway for each test. */
export function useVariableGateway(): VariableGateway {
  const gateway = new VariableGateway();
  beforeAll(() => gateway.startServer());
  beforeEach(() => gateway.start());
  afterEach(() => gateway.stop());
  afterAll(() => gateway.stopServer());
  return gateway;
}

function echo(response: ServerResponse, { headers, body }: Heard): void {
  response.end(JSON.stringify({ headers, body }));
}
