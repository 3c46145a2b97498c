import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openVaultKeeper } from '../../vault/keeper.ts';
import { openVault } from '../../vault/open-vault.ts';
import { kvSettings, kvVariables, writePolicy } from '../support/bao.ts';
import { findBaoBinary, type OwnBao, startOwnBao } from '../support/own-bao.ts';
import { requestToken, trustCluster, VAULT_ROLE } from './kubernetes-auth.ts';
import { describeCluster } from './test-cluster.ts';

// A real OpenBao asks the real API server about tokens of real service accounts.

const binary = findBaoBinary();
const withBao = test.skipIf(binary === undefined);
const API = { vault_id: 'team', credential_id: 'api' } as const;
const VALUE = 'canary-of-the-login';

describeCluster('a login by a service account', (cluster) => {
  const folder = mkdtempSync(join(tmpdir(), 'drover-vault-login-'));
  let bao: OwnBao;
  let variables: Readonly<Record<string, string>>;
  let forget = async (): Promise<void> => {};

  beforeAll(async () => {
    if (binary === undefined) return;
    bao = await startOwnBao(binary);
    variables = kvVariables(bao, { VAULT_KUBERNETES_ROLE: VAULT_ROLE });
    forget = await trustCluster(bao, cluster(), await writePolicy(bao, variables));
  }, 60_000);
  afterAll(async () => {
    await forget();
    await bao?.close();
    rmSync(folder, { recursive: true });
  });

  /** With what a process has whose pod has this token. */
  function settingsOf(token: string) {
    const file = join(folder, 'token');
    writeFileSync(file, token);
    return kvSettings({ ...variables, VAULT_KUBERNETES_TOKEN_FILE: file });
  }

  async function read(token: string): Promise<string> {
    const vault = openVault(settingsOf(token));
    try {
      return await vault.accessToken(API);
    } finally {
      await vault.close();
    }
  }

  withBao('that of the vault’s workers → reads credentials', async () => {
    const { workers } = cluster();
    const token = await requestToken(cluster(), workers, 'drover-vault');
    const keeper = openVaultKeeper(settingsOf(token));
    await keeper.createVault({ id: 'team' });
    const auth = { type: 'static_bearer', mcp_server_url: 'https://mcp.example' } as const;
    await keeper.createCredential({ vault_id: 'team', id: 'api', auth }, VALUE);
    keeper.close();
    expect(await read(token)).toBe(VALUE);
  });

  withBao.each<[string, () => Promise<string>]>([
    [
      'of another role of workers',
      () => requestToken(cluster(), cluster().workers, 'drover-brain'),
    ],
    ['of a hand’s namespace', () => requestToken(cluster(), cluster().namespace, 'default')],
    [
      'of the same name in another namespace',
      async () => {
        const { admin, namespace } = cluster();
        const metadata = { name: 'drover-vault', namespace };
        await admin.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
        return requestToken(cluster(), namespace, 'drover-vault');
      },
    ],
    [
      'of an account that was deleted',
      async () => {
        const { admin, workers } = cluster();
        const token = await requestToken(cluster(), workers, 'drover-vault');
        const path = `/api/v1/namespaces/${workers}/serviceaccounts/drover-vault`;
        await admin.delete(path);
        return token;
      },
    ],
  ])('that %s → refused in words, without the token', async (_, requested) => {
    const token = await requested();
    const error = await read(token).catch((caught: Error) => caught);
    expect(error).toMatchObject({ type: 'Vault.Unavailable', isRetryable: true });
    expect(String(error)).toMatch(
      /refuses the login at auth\/kubernetes\/login with 40\d.*check VAULT_KUBERNETES_ROLE and the service account/,
    );
    expect(String(error)).not.toContain(token.slice(-40));
  });
});
