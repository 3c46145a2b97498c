import { afterEach, beforeEach, expect, test } from 'vitest';
import { openVaultKeeper } from '../../vault/keeper.ts';
import { openVault } from '../../vault/open-vault.ts';
import type { Vault } from '../../vault/vault.ts';
import { createOauthCredential, LOOPBACK, TRACKER } from '../support/oauth-credential.ts';
import { startRefreshProcess } from '../support/refresh-process.ts';
import { refreshStorm } from '../support/refresh-storm.ts';
import { startTokenEndpoint, type TokenEndpoint, type Trouble } from '../support/token-endpoint.ts';
import { makeVaultFolder, type VaultFolder } from '../support/vault-folder.ts';
import { waitFor } from '../support/wait-for.ts';

let folder: VaultFolder;
let vault: Vault;
const open: TokenEndpoint[] = [];
beforeEach(async () => {
  folder = await makeVaultFolder(LOOPBACK);
  vault = openVault(folder.settings());
});
afterEach(async () => {
  await vault.close();
  await Promise.all(open.splice(0).map((endpoint) => endpoint.close()));
  await folder.remove();
});

async function start(...options: Parameters<typeof startTokenEndpoint>): Promise<TokenEndpoint> {
  const endpoint = await startTokenEndpoint(...options);
  open.push(endpoint);
  return endpoint;
}

test('two processes refresh one credential at once, 200 times → no token is used twice', async () => {
  await refreshStorm(folder.settings(), folder.variables);
}, 180_000);

test('many calls of one process with the token that was rejected → one request', async () => {
  const endpoint = await start();
  await createOauthCredential(folder.settings(), endpoint);
  const rejected = await vault.accessToken(TRACKER);
  expect(endpoint.requests).toHaveLength(0);
  const tokens = await Promise.all(
    Array.from({ length: 100 }, () => vault.accessToken(TRACKER, { rejected })),
  );
  expect(new Set(tokens)).toEqual(new Set([endpoint.accessToken]));
  expect(endpoint.requests).toHaveLength(1);
  // Who comes late with the old one gets the new one, too.
  expect(await vault.accessToken(TRACKER, { rejected })).toBe(endpoint.accessToken);
  expect(endpoint.requests).toHaveLength(1);
});

test('a token that ends soon → refreshed before it is used', async () => {
  const endpoint = await start();
  await createOauthCredential(folder.settings(), endpoint, { expiresInS: 5 });
  const before = endpoint.accessToken;
  const token = await vault.accessToken(TRACKER);
  expect(token).not.toBe(before);
  expect(token).toBe(endpoint.accessToken);
  const [credential] = await vault.credentials('team');
  expect(credential?.auth).toMatchObject({ type: 'mcp_oauth', expires_at: expect.any(String) });
  expect(await vault.accessToken(TRACKER)).toBe(token);
});

test('an endpoint that keeps its refresh token → the one there stays', async () => {
  const endpoint = await start({ keepsRefreshToken: true });
  await createOauthCredential(folder.settings(), endpoint);
  for (let round = 0; round < 3; round += 1) {
    const rejected = endpoint.accessToken;
    expect(await vault.accessToken(TRACKER, { rejected })).toBe(endpoint.accessToken);
  }
  expect(endpoint.requests.map(({ form }) => form.get('refresh_token'))).toEqual(
    Array(3).fill(endpoint.refreshToken),
  );
});

const BASIC = `Basic ${Buffer.from('drover+client:s%26cret').toString('base64')}`;

test.each([
  ['none', undefined, { form: { client_id: 'drover client' } }],
  [
    'client_secret_post',
    's&cret',
    { form: { client_id: 'drover client', client_secret: 's&cret' } },
  ],
  ['client_secret_basic', 's&cret', { authorization: BASIC }],
] as const)('%s → the endpoint knows the client', async (authType, clientSecret, expected) => {
  const endpoint = await start(expected);
  await createOauthCredential(folder.settings(), endpoint, {
    authType,
    ...(clientSecret === undefined ? {} : { clientSecret }),
    scope: 'read write',
    resource: 'https://tracker.example/mcp',
  });
  const token = await vault.accessToken(TRACKER, { rejected: endpoint.accessToken });
  expect(token).toBe(endpoint.accessToken);
  const [request] = endpoint.requests;
  expect(Object.fromEntries(request?.form ?? [])).toMatchObject({
    grant_type: 'refresh_token',
    scope: 'read write',
    resource: 'https://tracker.example/mcp',
  });
  if (authType !== 'client_secret_post') expect(request?.form.has('client_secret')).toBe(false);
});

test.each([
  ['500, then 200', [500]],
  ['503, 429, then 200', [503, 429]],
])('an endpoint that answers %s → asked again, nobody notices', async (_name, statuses) => {
  const endpoint = await start();
  await createOauthCredential(folder.settings(), endpoint);
  endpoint.troubles.push(...statuses.map((status) => ({ type: 'status', status }) as const));
  const token = await vault.accessToken(TRACKER, { rejected: endpoint.accessToken });
  expect(token).toBe(endpoint.accessToken);
  expect(endpoint.reuses).toBe(0);
});

test('an endpoint in lasting trouble → worded, to be tried again, and then nothing is lost', async () => {
  const endpoint = await start();
  await createOauthCredential(folder.settings(), endpoint);
  endpoint.troubles.push(...Array(5).fill({ type: 'status', status: 500 }));
  const rejected = endpoint.accessToken;
  await expect(vault.accessToken(TRACKER, { rejected })).rejects.toMatchObject({
    type: 'Vault.Unavailable',
    isRetryable: true,
    message: expect.stringMatching(
      /^credential tracker of vault team was not refreshed.*answered 500/,
    ),
  });
  expect(await vault.accessToken(TRACKER, { rejected })).toBe(endpoint.accessToken);
});

test('an endpoint that nobody serves → worded, to be tried again', async () => {
  const endpoint = await start();
  await createOauthCredential(folder.settings(), endpoint);
  await endpoint.close();
  open.length = 0;
  await expect(
    vault.accessToken(TRACKER, { rejected: endpoint.accessToken }),
  ).rejects.toMatchObject({
    type: 'Vault.Unavailable',
    message: expect.stringContaining('cannot be reached (ECONNREFUSED)'),
  });
});

test('a refresh token that is refused → said whom to ask, without what the server repeats', async () => {
  const endpoint = await start();
  await createOauthCredential(folder.settings(), endpoint);
  const spent = endpoint.refreshToken;
  const other = openVault(folder.settings());
  endpoint.troubles.push({ type: 'status', status: 400, body: `{"error":"x ${spent}"}` });
  const rejected = endpoint.accessToken;
  const error = await other.accessToken(TRACKER, { rejected }).catch((caught: Error) => caught);
  expect(error).toMatchObject({ type: 'Vault.RefreshFailed', isRetryable: false });
  expect(String(error)).toContain('drover credentials rotate team tracker');
  expect(String(error)).not.toContain(spent);
  // The attempt is over: nobody waits for it.
  expect(await vault.accessToken(TRACKER, { rejected })).toBe(endpoint.accessToken);
});

test('an answer that is lost on its way → the words say so when the token is then refused', async () => {
  const endpoint = await start();
  await createOauthCredential(folder.settings(), endpoint);
  endpoint.troubles.push({ type: 'cut_after_acting' });
  const rejected = endpoint.accessToken;
  await expect(vault.accessToken(TRACKER, { rejected })).rejects.toMatchObject({
    type: 'Vault.RefreshFailed',
    message: expect.stringMatching(/invalid_grant.*The answer to an earlier refresh.*was lost/),
  });
});

test('a process that dies before the endpoint acts → another one takes over', async () => {
  const endpoint = await start();
  await createOauthCredential(folder.settings(), endpoint);
  const rejected = endpoint.accessToken;
  await dieAsking(endpoint, { type: 'hang' });
  expect(await vault.accessToken(TRACKER, { rejected })).toBe(endpoint.accessToken);
  expect(endpoint.reuses).toBe(0);
});

test('a process that dies between the answer and the write → the words say what was lost', async () => {
  const endpoint = await start();
  await createOauthCredential(folder.settings(), endpoint);
  const rejected = endpoint.accessToken;
  await dieAsking(endpoint, { type: 'hang_after_acting' });
  await expect(vault.accessToken(TRACKER, { rejected })).rejects.toMatchObject({
    type: 'Vault.RefreshFailed',
    message: expect.stringMatching(
      /invalid_grant\. The answer to an earlier refresh, begun at \d{4}.*was lost.*Authorize again/,
    ),
  });
});

async function dieAsking(endpoint: TokenEndpoint, trouble: Trouble): Promise<void> {
  const dying = startRefreshProcess(folder.variables);
  endpoint.troubles.push(trouble);
  const order = { credentialId: 'tracker', rejected: endpoint.accessToken, calls: 1 };
  dying.order(order).catch(() => {});
  await waitFor('its request', async () => endpoint.requests.length === 1);
  await dying.kill();
}

test('new tokens that a person puts in during a refresh → stay', async () => {
  const endpoint = await start();
  await createOauthCredential(folder.settings(), endpoint);
  const rejected = endpoint.accessToken;
  const answering = Promise.withResolvers<void>();
  endpoint.troubles.push({ type: 'wait', until: answering.promise });
  const refreshed = vault.accessToken(TRACKER, { rejected });
  await waitFor('its request', async () => endpoint.requests.length === 1);
  const keeper = openVaultKeeper(folder.settings());
  const typed = { access_token: 'at-of-a-person', refresh_token: 'rt-of-a-person' };
  await keeper.rotateCredential(TRACKER, JSON.stringify(typed));
  answering.resolve();
  await refreshed;
  const other = openVault(folder.settings());
  expect(await other.accessToken(TRACKER)).toBe('at-of-a-person');
  expect(await other.accessToken(TRACKER, { rejected })).toBe('at-of-a-person');
});

test('a credential that is archived during its refresh → stays so', async () => {
  const endpoint = await start();
  await createOauthCredential(folder.settings(), endpoint);
  const answering = Promise.withResolvers<void>();
  endpoint.troubles.push({ type: 'wait', until: answering.promise });
  const refreshed = vault.accessToken(TRACKER, { rejected: endpoint.accessToken });
  await waitFor('its request', async () => endpoint.requests.length === 1);
  const keeper = openVaultKeeper(folder.settings());
  await keeper.archiveCredential(TRACKER);
  answering.resolve();
  await refreshed;
  expect(await keeper.listCredentials('team')).toMatchObject([{ archived_at: expect.any(String) }]);
  const other = openVault(folder.settings());
  await expect(other.accessToken(TRACKER)).rejects.toMatchObject({
    type: 'Vault.CredentialNotFound',
  });
});

test.each([
  ['a loopback address', 'http://127.0.0.1:1/token', 'must be dialled by https'],
  ['the metadata address', 'https://169.254.169.254/token', 'leads to no public address'],
  ['another spelling of it', 'https://[::ffff:a9fe:a9fe]/token', 'leads to no public address'],
  ['a number', 'https://2852039166/token', 'leads to no public address'],
  ['a name of this machine', 'https://localhost/token', 'leads to no public address'],
])('a token endpoint at %s that nobody allowed → not dialled', async (_name, url, words) => {
  const endpoint = await start();
  const settings = folder.settings({ DROVER_VAULT_PRIVATE_NETWORKS: '' });
  await createOauthCredential(settings, endpoint, { tokenEndpoint: url });
  const strict = openVault(settings);
  await expect(
    strict.accessToken(TRACKER, { rejected: endpoint.accessToken }),
  ).rejects.toMatchObject({
    type: 'Vault.RefreshFailed',
    message: expect.stringContaining(words),
  });
  expect(endpoint.requests).toHaveLength(0);
});

test('a token endpoint that redirects → nothing is sent there', async () => {
  const endpoint = await start();
  const elsewhere = await start();
  await createOauthCredential(folder.settings(), endpoint);
  endpoint.troubles.push({ type: 'redirect', to: elsewhere.url });
  await expect(
    vault.accessToken(TRACKER, { rejected: endpoint.accessToken }),
  ).rejects.toMatchObject({
    type: 'Vault.RefreshFailed',
    message: expect.stringContaining('answered with a redirect, which is not followed'),
  });
  expect(elsewhere.requests).toHaveLength(0);
});
