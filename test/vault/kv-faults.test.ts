import { afterEach, beforeEach, expect, test } from 'vitest';
import { openVaultKeeper } from '../../vault/keeper.ts';
import { openVault } from '../../vault/open-vault.ts';
import type { Vault } from '../../vault/vault.ts';
import { baoOf, findBao, kvSettings, kvVariables } from '../support/bao.ts';
import { type BaoProxy, type Interference, startBaoProxy } from '../support/bao-proxy.ts';
import { createOauthCredential, LOOPBACK, TRACKER } from '../support/oauth-credential.ts';
import { startTokenEndpoint } from '../support/token-endpoint.ts';

const found = findBao();
const withBao = test.skipIf(found === undefined);
const API = { vault_id: 'team', credential_id: 'api' } as const;

let proxy: BaoProxy;
let vault: Vault;
let direct: Readonly<Record<string, string>>;
beforeEach(async () => {
  if (found === undefined) return;
  direct = kvVariables(found, LOOPBACK);
  proxy = await startBaoProxy(found.address);
  vault = openVault(kvSettings({ ...direct, VAULT_ADDR: proxy.address }));
});
afterEach(async () => {
  if (found === undefined) return;
  await vault.close();
  await proxy.close();
});

async function createApi(): Promise<void> {
  const keeper = openVaultKeeper(kvSettings(direct));
  await keeper.createVault({ id: 'team' });
  const auth = { type: 'static_bearer', mcp_server_url: 'https://mcp.example' } as const;
  await keeper.createCredential({ vault_id: 'team', id: 'api', auth }, 'canary-of-the-faults');
  keeper.close();
}

const ANSWERED: readonly (readonly [string, Interference, string, RegExp])[] = [
  [
    // As the server answers while it is sealed.
    'is sealed',
    { type: 'answer', status: 503, body: '{"errors":["Vault is sealed"]}' },
    'Vault.Sealed',
    /is sealed: unseal it/,
  ],
  [
    'is in trouble',
    { type: 'answer', status: 500, body: '{"errors":["internal error"]}' },
    'Vault.Unavailable',
    /answers 500 \(internal error\)/,
  ],
  [
    'is limited',
    { type: 'answer', status: 429, body: '{"errors":["request path: rate limit"]}' },
    'Vault.Unavailable',
    /answers 429/,
  ],
  [
    'says what is no JSON',
    { type: 'answer', status: 200, body: '<html>' },
    'Vault.Unavailable',
    /answers 200 for secret\/data/,
  ],
  ['cuts the connection', { type: 'cut' }, 'Vault.Unavailable', /cannot be reached/],
  ['does not answer', { type: 'hang' }, 'Vault.Unavailable', /does not answer in 5 s/],
  [
    'redirects',
    { type: 'redirect', to: 'http://127.0.0.1:1/' },
    'Vault.Unavailable',
    /answers with a redirect: set VAULT_ADDR/,
  ],
];

test.skipIf(found === undefined).each(ANSWERED)(
  'a server that %s → worded, to be tried again, and then all is well',
  async (_name, interference, type, words) => {
    await createApi();
    proxy.interfere = () => interference;
    const error = await vault.accessToken(API).catch((caught: Error) => caught);
    expect(error).toMatchObject({ type, isRetryable: true, message: expect.stringMatching(words) });
    expect(String(error)).not.toContain(baoOf(found).token);
    proxy.interfere = () => undefined;
    expect(await vault.accessToken(API)).toBe('canary-of-the-faults');
  },
);

withBao('a server that is not there → worded, to be tried again', async () => {
  const { address } = proxy;
  await proxy.close();
  const gone = openVault(kvSettings({ ...direct, VAULT_ADDR: address }));
  await expect(gone.accessToken(API)).rejects.toMatchObject({
    type: 'Vault.Unavailable',
    isRetryable: true,
    message: expect.stringMatching(
      /127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\): check VAULT_ADDR/,
    ),
  });
  await gone.close();
  proxy = await startBaoProxy(baoOf(found).address);
});

withBao(
  'a server that goes away as new tokens come → used at once, written when it is back',
  async () => {
    const endpoint = await startTokenEndpoint();
    await createOauthCredential(kvSettings(direct), endpoint);
    const rejected = await vault.accessToken(TRACKER);
    // The attempt is written, what comes after it is not.
    let writes = 0;
    proxy.interfere = (request) => {
      if (request.startsWith('POST secret/data')) writes += 1;
      return writes > 1 ? { type: 'cut' } : undefined;
    };
    const token = await vault.accessToken(TRACKER, { rejected });
    expect(token).toBe(endpoint.accessToken);
    expect(token).not.toBe(rejected);
    expect(writes).toBeGreaterThan(1);
    const other = openVault(kvSettings(direct));
    const waiting = other.accessToken(TRACKER, { rejected });
    proxy.interfere = () => undefined;
    expect(await waiting).toBe(token);
    expect(endpoint.requests).toHaveLength(1);
    await other.close();
    await endpoint.close();
  },
);

withBao('a write whose answer is lost → the tokens are written once', async () => {
  const endpoint = await startTokenEndpoint();
  await createOauthCredential(kvSettings(direct), endpoint);
  const rejected = await vault.accessToken(TRACKER);
  const other = openVault(kvSettings(direct));
  let writes = 0;
  proxy.interfere = (request) => {
    if (!request.startsWith('POST secret/data')) return undefined;
    writes += 1;
    return writes === 2 ? { type: 'cut_after_acting' } : undefined;
  };
  const token = await vault.accessToken(TRACKER, { rejected });
  expect(writes).toBe(2);
  expect(await other.accessToken(TRACKER)).toBe(token);
  expect(endpoint.reuses).toBe(0);
  await other.close();
  await endpoint.close();
});

withBao('a vault that is closed while it writes → waits for the write', async () => {
  const endpoint = await startTokenEndpoint();
  await createOauthCredential(kvSettings(direct), endpoint);
  const rejected = await vault.accessToken(TRACKER);
  let writes = 0;
  proxy.interfere = (request) => {
    if (!request.startsWith('POST secret/data')) return undefined;
    writes += 1;
    return writes > 1 && writes < 4 ? { type: 'cut' } : undefined;
  };
  const refreshed = vault.accessToken(TRACKER, { rejected });
  await expect.poll(() => endpoint.requests.length).toBe(1);
  await vault.close();
  const other = openVault(kvSettings(direct));
  expect(await other.accessToken(TRACKER)).toBe(await refreshed);
  await other.close();
  await endpoint.close();
});
