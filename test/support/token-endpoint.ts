import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** What happens to one request instead of the usual. */
export type Trouble =
  | { readonly type: 'status'; readonly status: number; readonly body?: string }
  | { readonly type: 'redirect'; readonly to: string }
  /** It does what it is asked, and its answer never comes. */
  | { readonly type: 'cut_after_acting' }
  | { readonly type: 'hang_after_acting' }
  | { readonly type: 'hang' }
  /** It takes its time. */
  | { readonly type: 'wait'; readonly until: Promise<unknown> };

export interface TokenEndpoint {
  readonly url: string;
  /** Requests as they came: their headers and forms. */
  readonly requests: readonly {
    readonly authorization: string | null;
    readonly form: URLSearchParams;
  }[];
  /** How many times a refresh token was shown that had been used before. */
  readonly reuses: number;
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Of what the next requests meet, in order. */
  readonly troubles: Trouble[];
  close(): Promise<void>;
}

export interface TokenEndpointOptions {
  /** What `Authorization` must hold. Default: nothing is asked for. */
  readonly authorization?: string;
  /** What a form must hold. */
  readonly form?: Readonly<Record<string, string>>;
  readonly lifetimeS?: number;
  /** Answers without another refresh token; the one there stays good. */
  readonly keepsRefreshToken?: boolean;
  /** Default: some random token. */
  makeToken?(kind: 'at' | 'rt'): string;
}

/**
 * A token endpoint whose refresh tokens are good once: one that is shown again takes the whole
 * family with it, as RFC 9700 wants it.
 */
export async function startTokenEndpoint(
  options: TokenEndpointOptions = {},
): Promise<TokenEndpoint> {
  const token = options.makeToken ?? randomToken;
  const state = {
    accessToken: token('at'),
    refreshToken: token('rt'),
    isRevoked: false,
    reuses: 0,
    requests: [] as { authorization: string | null; form: URLSearchParams }[],
    troubles: [] as Trouble[],
  };
  const used = new Set<string>();
  const server = createServer((request, response) => void answer(request, response));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams(await text(request));
    const authorization = request.headers.authorization ?? null;
    state.requests.push({ authorization, form });
    const trouble = state.troubles.shift();
    if (trouble?.type === 'hang') return;
    if (trouble?.type === 'wait') await trouble.until;
    if (trouble?.type === 'status') return send(response, trouble.status, trouble.body ?? '');
    if (trouble?.type === 'redirect') {
      response.setHeader('location', trouble.to);
      return send(response, 307, '');
    }
    const given = grant(authorization, form);
    if (trouble?.type === 'cut_after_acting') return void request.socket.destroy();
    if (trouble?.type === 'hang_after_acting') return;
    send(response, given.status, JSON.stringify(given.body));
  }

  function isClient(authorization: string | null, form: URLSearchParams): boolean {
    const expected = Object.entries(options.form ?? {});
    const hasForm = expected.every(([name, value]) => form.get(name) === value);
    return hasForm && authorization === (options.authorization ?? null);
  }

  function isGood(shown: string): boolean {
    if (used.has(shown)) {
      state.reuses += 1;
      state.isRevoked = true;
    }
    return !state.isRevoked && shown === state.refreshToken;
  }

  function grant(authorization: string | null, form: URLSearchParams) {
    if (!isClient(authorization, form)) return { status: 401, body: { error: 'invalid_client' } };
    const shown = form.get('refresh_token') ?? '';
    if (!isGood(shown)) {
      // Like servers that repeat what they were shown.
      return { status: 400, body: { error: 'invalid_grant', error_description: `bad: ${shown}` } };
    }
    state.accessToken = token('at');
    if (options.keepsRefreshToken !== true) {
      used.add(shown);
      state.refreshToken = token('rt');
    }
    return {
      status: 200,
      body: {
        access_token: state.accessToken,
        token_type: 'Bearer',
        expires_in: options.lifetimeS ?? 3_600,
        ...(options.keepsRefreshToken === true ? {} : { refresh_token: state.refreshToken }),
      },
    };
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/token`,
    get requests() {
      return state.requests;
    },
    get reuses() {
      return state.reuses;
    },
    get accessToken() {
      return state.accessToken;
    },
    get refreshToken() {
      return state.refreshToken;
    },
    troubles: state.troubles,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body);
}

function randomToken(kind: 'at' | 'rt'): string {
  return `${kind}-${randomBytes(12).toString('hex')}`;
}
