import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';

/** Servers that hands want to reach: TLS with a certificate of its own, and plain. */
export interface Upstream {
  readonly tlsPort: number;
  readonly plainPort: number;
  /** Certificate authority of the TLS server. */
  readonly caPath: string;
  /** Requests that arrived, oldest first: what the proxy let through. */
  readonly requests: readonly IncomingMessage[];
  close(): Promise<void>;
}

export interface UpstreamOptions {
  /** Of the certificate. */
  readonly names: string;
  /** Where it listens; all addresses by default. */
  readonly host?: string;
  answer(request: IncomingMessage, response: ServerResponse): void;
}

export async function startUpstream({ names, host, answer }: UpstreamOptions): Promise<Upstream> {
  const folder = mkdtempSync(join(tmpdir(), 'drover-upstream-'));
  const caPath = join(folder, 'certificate.pem');
  const keyPath = join(folder, 'key.pem');
  execFileSync(
    'openssl',
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=upstream -addext subjectAltName=${names} -keyout ${keyPath} -out ${caPath}`.split(
      ' ',
    ),
    { stdio: 'ignore' },
  );
  const requests: IncomingMessage[] = [];
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    requests.push(request);
    answer(request, response);
  };
  const tls = createTlsServer(
    { cert: readFileSync(caPath), key: readFileSync(keyPath) },
    onRequest,
  );
  const plain = createServer(onRequest);
  for (const server of [tls, plain]) {
    server.listen(0, host);
    await once(server, 'listening');
  }
  return {
    tlsPort: (tls.address() as AddressInfo).port,
    plainPort: (plain.address() as AddressInfo).port,
    caPath,
    requests,
    async close() {
      rmSync(folder, { recursive: true });
      for (const server of [tls, plain]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

/** Serves files of a folder, as a dumb server of git repositories does. */
export function serveFolder(folder: string): UpstreamOptions['answer'] {
  return ({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://x');
    try {
      const content = readFileSync(join(folder, pathname));
      const isText = extname(pathname) === '.txt';
      response.writeHead(200, isText ? { 'content-type': 'text/plain' } : {}).end(content);
    } catch {
      response.writeHead(404).end('no such file\n');
    }
  };
}
