import { randomUUID } from 'node:crypto';

/** A place of a test's own on a real server, and a token that is good for it alone. */
export interface KvPlace {
  readonly variables: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

/** Said by who starts the server: see CONTRIBUTING.md. */
export const KV_SERVER = {
  address: process.env['VAULT_ADDR'] ?? '',
  token: process.env['VAULT_TOKEN'] ?? '',
} as const;

/** @param id Of the token. */
export async function makeKvPlace(id: string, server = KV_SERVER): Promise<KvPlace> {
  const prefix = `test-${randomUUID()}`;
  const rights = ['data', 'metadata', 'destroy'].map(
    (kind) =>
      `path "secret/${kind}/${prefix}/*" { capabilities = ["create", "read", "update", "list"] }`,
  );
  await askKvServer(server, 'PUT', `sys/policies/acl/${prefix}`, { policy: rights.join('\n') });
  await askKvServer(server, 'POST', 'auth/token/create', { id, policies: [prefix], ttl: '1h' });
  return {
    variables: {
      DROVER_VAULT: `kv://secret/${prefix}`,
      VAULT_ADDR: server.address,
      VAULT_TOKEN: id,
    },
    async remove() {
      await askKvServer(server, 'POST', 'auth/token/revoke', { token: id });
      await askKvServer(server, 'DELETE', `sys/policies/acl/${prefix}`);
    },
  };
}

export async function askKvServer(
  { address, token }: { readonly address: string; readonly token: string },
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  const response = await fetch(`${address}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}
