import { createSign, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

/** What a cluster would answer about tokens of its service accounts. */
export interface TokenReview {
  readonly url: string;
  readonly reviewed: readonly string[];
  /** A token of a service account that the review knows. */
  issue(): string;
  close(): Promise<void>;
}

export const SERVICE_ACCOUNT = { namespace: 'drover', name: 'drover-vault', uid: 'uid-1' } as const;

/** Answers `TokenReview` as the API of a cluster does. */
export async function startTokenReview(): Promise<TokenReview> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const issued = new Set<string>();
  const reviewed: string[] = [];
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      const { spec } = body as { readonly spec: { readonly token: string } };
      reviewed.push(spec.token);
      const { namespace, name, uid } = SERVICE_ACCOUNT;
      const status = issued.has(spec.token)
        ? {
            authenticated: true,
            user: { username: `system:serviceaccount:${namespace}:${name}`, uid },
          }
        : { authenticated: false, error: 'unknown token' };
      response.writeHead(201, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status }),
      );
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    reviewed,
    issue() {
      const { namespace, name, uid } = SERVICE_ACCOUNT;
      const now = Math.floor(Date.now() / 1_000);
      const claims = {
        iss: 'https://kubernetes.default.svc',
        sub: `system:serviceaccount:${namespace}:${name}`,
        iat: now,
        exp: now + 3_600,
        jti: String(issued.size),
        'kubernetes.io': { namespace, serviceaccount: { name, uid } },
      };
      const head = encode({ alg: 'RS256', typ: 'JWT', kid: 'one' });
      const signed = `${head}.${encode(claims)}`;
      const signature = createSign('RSA-SHA256').update(signed).sign(privateKey, 'base64url');
      const token = `${signed}.${signature}`;
      issued.add(token);
      return token;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
