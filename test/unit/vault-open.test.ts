import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CredentialAuth } from '../../protocol/credential.ts';
import { openVaultKeeper, type VaultKeeper } from '../../vault/keeper.ts';
import { openVault } from '../../vault/open-vault.ts';
import type { CredentialSecret, Vault } from '../../vault/vault.ts';
import { makeVaultFolder, type VaultFolder } from '../support/vault-folder.ts';

const MCP = 'https://mcp.example/mcp';
const CREDENTIALS: Readonly<Record<string, readonly [CredentialAuth, string]>> = {
  bearer: [{ type: 'static_bearer', mcp_server_url: MCP }, 'canary-b'],
  git: [{ type: 'git', url: 'https://git.example/', username: 'x-access-token' }, 'canary-g'],
  oauth: [
    { type: 'mcp_oauth', mcp_server_url: `${MCP}/2`, expires_at: null, refresh: null },
    '{"access_token":"canary-o"}',
  ],
  refreshed: [
    {
      type: 'mcp_oauth',
      mcp_server_url: `${MCP}/3`,
      expires_at: null,
      refresh: {
        client_id: 'c',
        token_endpoint: 'https://login.example/token',
        token_endpoint_auth: { type: 'client_secret_post' },
        resource: null,
        scope: null,
      },
    },
    '{"access_token":"canary-a","refresh_token":"canary-r","client_secret":"canary-s"}',
  ],
  variable: [
    {
      type: 'environment_variable',
      secret_name: 'API_KEY',
      networking: { type: 'limited', allowed_hosts: ['api.example'] },
      injection_location: { header: true, body: false },
    },
    'canary-v',
  ],
};

let folder: VaultFolder;
let keeper: VaultKeeper;
let vault: Vault;
beforeEach(async () => {
  folder = await makeVaultFolder();
  keeper = openVaultKeeper(folder.settings());
  vault = openVault(folder.settings());
  await keeper.createVault({ id: 'team' });
  for (const [id, [auth, value]] of Object.entries(CREDENTIALS)) {
    await keeper.createCredential({ vault_id: 'team', id, auth }, value);
  }
});
afterEach(async () => {
  await vault.close();
  await folder.remove();
});

const of = (credential_id: string) => ({ vault_id: 'team', credential_id });

function revealed(secret: CredentialSecret): string {
  if (secret.type === 'mcp_oauth') return secret.access_token.reveal();
  return secret.type === 'environment_variable' ? secret.value.reveal() : secret.token.reveal();
}

test.each([
  ['bearer', 'canary-b'],
  ['git', 'canary-g'],
  ['oauth', 'canary-o'],
  ['refreshed', 'canary-a'],
  ['variable', 'canary-v'],
])('%s → its value, which nothing shows, and no refresh token', async (id, value) => {
  const secret = await vault.secret(of(id));
  expect(secret).toMatchObject(CREDENTIALS[id]?.[0] ?? {});
  expect(revealed(secret)).toBe(value);
  expect(JSON.stringify(secret) + inspect(secret, { depth: 9 })).not.toContain('canary');
});

test('credentials of a vault → by id, without values, without the archived', async () => {
  await keeper.archiveCredential(of('git'));
  const credentials = await vault.credentials('team');
  expect(credentials.map(({ id }) => id)).toEqual(['bearer', 'oauth', 'refreshed', 'variable']);
  expect(JSON.stringify(credentials)).not.toContain('canary');
});

test.each([
  [
    'an unknown vault',
    { vault_id: 'nobody', credential_id: 'git' },
    'Vault.NotFound',
    'no vault nobody',
  ],
  ['an unknown credential', of('nothing'), 'Vault.CredentialNotFound', 'no credential nothing'],
] as const)('%s → said so', async (_name, reference, type, words) => {
  const expected = { type, isRetryable: false, message: expect.stringContaining(words) };
  await expect(vault.secret(reference)).rejects.toMatchObject(expected);
  await expect(vault.accessToken(reference)).rejects.toMatchObject(expected);
});

test('an archived credential, an archived vault → not found, and the values are gone', async () => {
  await keeper.archiveCredential(of('git'));
  await expect(vault.secret(of('git'))).rejects.toMatchObject({
    type: 'Vault.CredentialNotFound',
    message: expect.stringContaining('was archived at'),
  });
  await keeper.archiveVault('team');
  const after = openVault(folder.settings());
  for (const read of [() => after.secret(of('bearer')), () => after.credentials('team')]) {
    await expect(read()).rejects.toMatchObject({
      type: 'Vault.NotFound',
      message: expect.stringContaining('vault team was archived at'),
    });
  }
  expect((await after.describe('team'))?.archived_at).not.toBeNull();
  await expect(
    keeper.createCredential({ vault_id: 'team', id: 'late', auth: { type: 'git', url: MCP } }, 'x'),
  ).rejects.toMatchObject({ type: 'Vault.NotFound' });
});

test.each(['git', 'variable'])('a token for an MCP server from %s → the wrong kind', async (id) => {
  await expect(vault.accessToken(of(id))).rejects.toMatchObject({
    type: 'Vault.WrongKind',
    isRetryable: false,
    message: expect.stringMatching(/is of kind .*: an MCP server needs one of kind static_bearer/),
  });
});

test('a token that was rejected and cannot be refreshed → as it is, or said so', async () => {
  expect(await vault.accessToken(of('bearer'), { rejected: 'canary-b' })).toBe('canary-b');
  await expect(vault.accessToken(of('oauth'), { rejected: 'canary-o' })).rejects.toMatchObject({
    type: 'Vault.RefreshFailed',
    message: expect.stringMatching(/good no more, and it has no refresh token\. Authorize again/),
  });
});
