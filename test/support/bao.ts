import { randomUUID } from 'node:crypto';
import { readVaultSettings, type VaultSettings } from '../../vault/settings.ts';

export interface Bao {
  readonly address: string;
  /** May do everything. */
  readonly token: string;
  /** Where KV version 2 is mounted. */
  readonly mount: string;
  /** Asks as root. @throws Error with what the server says */
  ask(method: string, path: string, body?: unknown, namespace?: string): Promise<BaoAnswer>;
}

export interface BaoAnswer {
  readonly data?: Readonly<Record<string, unknown>>;
  readonly auth?: { readonly client_token: string };
}

/**
 * The OpenBao or HashiCorp Vault server at VAULT_ADDR, whose root token is VAULT_TOKEN. Without one
 * the tests that need it are skipped; in CI they fail.
 */
export function findBao(): Bao | undefined {
  const { VAULT_ADDR: address, VAULT_TOKEN: token } = process.env;
  if (address !== undefined && token !== undefined) {
    return { address, token, mount: 'secret', ask: createAsk(address, token) };
  }
  const words =
    'set VAULT_ADDR and VAULT_TOKEN to an OpenBao server with a KV version 2 mount "secret" and ' +
    'its root token';
  if (process.env['CI'] === 'true') throw new Error(`the vault suite needs a server: ${words}`);
  console.warn(`skipped without a server: ${words}`);
  return undefined;
}

/** The server of a test that is skipped when there is none. */
export function baoOf(bao: Bao | undefined): Bao {
  if (bao === undefined) throw new TypeError('a test runs without the server that it needs');
  return bao;
}

/** Asks with this token; empty: without one. */
export function createAsk(address: string, token: string): Bao['ask'] {
  return async (method, path, body, namespace) => {
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      headers: {
        'x-vault-token': token,
        ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? {} : JSON.parse(text);
  };
}

/** Variables of a vault of a test's own, at a prefix that nobody else has. */
export function kvVariables(
  bao: Bao,
  also: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return {
    DROVER_VAULT: `kv://${bao.mount}/test-${randomUUID()}`,
    VAULT_ADDR: bao.address,
    ...('VAULT_ROLE_ID' in also || 'VAULT_KUBERNETES_ROLE' in also
      ? {}
      : { VAULT_TOKEN: bao.token }),
    ...also,
  };
}

export function kvSettings(variables: Readonly<Record<string, string>>): VaultSettings {
  return readVaultSettings(variables, '/nowhere');
}

/** A policy that is all that a vault worker needs; commands need `destroy` too. */
export async function writePolicy(
  bao: Bao,
  variables: Readonly<Record<string, string>>,
  capabilities: readonly string[] = ['create', 'read', 'update'],
): Promise<string> {
  const name = `test-${randomUUID()}`;
  const prefix = new URL(variables['DROVER_VAULT'] ?? '').pathname.slice(1);
  const list = JSON.stringify(capabilities);
  const policy = `
    path "${bao.mount}/data/${prefix}/*" { capabilities = ${list} }
    path "${bao.mount}/metadata/${prefix}/*" { capabilities = ["list", "read"] }`;
  await bao.ask('POST', `sys/policies/acl/${name}`, { policy });
  return name;
}
