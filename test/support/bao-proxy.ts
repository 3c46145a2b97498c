import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export type Interference =
  | { readonly type: 'answer'; readonly status: number; readonly body: string }
  | { readonly type: 'redirect'; readonly to: string }
  | { readonly type: 'cut' }
  /** The server acts, and nobody hears of it. */
  | { readonly type: 'cut_after_acting' }
  | { readonly type: 'hang' };

export interface BaoProxy {
  readonly address: string;
  /** `GET secret/data/…` as they came. */
  readonly requests: string[];
  /** The token that came last. */
  readonly token: string;
  /** What happens to a request instead of reaching the server; undefined lets it pass. */
  interfere: (request: string) => Interference | undefined;
  close(): Promise<void>;
}

/** Stands before a real server and troubles what goes through. */
export async function startBaoProxy(target: string): Promise<BaoProxy> {
  const requests: string[] = [];
  let token = '';
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = `${request.method} ${request.url?.replace(/^\/v1\//, '')}`;
    requests.push(name);
    token = String(request.headers['x-vault-token'] ?? token);
    const body = await buffer(request);
    const interference = proxy.interfere(name);
    switch (interference?.type) {
      case 'answer':
        return void response.writeHead(interference.status).end(interference.body);
      case 'redirect':
        return void response.writeHead(307, { location: interference.to }).end();
      case 'cut':
        return void request.socket.destroy();
      case 'hang':
        return;
    }
    const headers = Object.entries(request.headers).filter(([header]) => header.startsWith('x-'));
    const answer = await fetch(`${target}${request.url}`, {
      method: request.method ?? 'GET',
      headers: headers.map(([header, value]) => [header, String(value)] as [string, string]),
      ...(body.length === 0 ? {} : { body }),
    });
    if (interference?.type === 'cut_after_acting') return void request.socket.destroy();
    response.writeHead(answer.status);
    response.end(Buffer.from(await answer.arrayBuffer()));
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: BaoProxy = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get token() {
      return token;
    },
    interfere: () => undefined,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
