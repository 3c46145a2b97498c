import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { openRecords } from '../../vault/open-records.ts';
import type { VaultRecords } from '../../vault/records.ts';
import { type Bao, baoOf, findBao, kvSettings, kvVariables, writePolicy } from '../support/bao.ts';
import { enableAuth, makeAppRole } from '../support/bao-logins.ts';
import { type BaoProxy, startBaoProxy } from '../support/bao-proxy.ts';
import { SERVICE_ACCOUNT, startTokenReview } from '../support/token-review.ts';
import { waitFor } from '../support/wait-for.ts';

const found = findBao();
const withBao = test.skipIf(found === undefined);
const NAME = 'credentials/team/api';
const BODY = JSON.stringify({ value: 'one' });

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function open(variables: Readonly<Record<string, string>>): VaultRecords {
  const records = openRecords(kvSettings(variables));
  closing.push(() => records.close());
  return records;
}

async function proxyOf(bao: Bao): Promise<BaoProxy> {
  const proxy = await startBaoProxy(bao.address);
  closing.push(() => proxy.close());
  return proxy;
}

async function appRoleVault(bao: Bao, times: Readonly<Record<string, string>>) {
  const proxy = await proxyOf(bao);
  const place = kvVariables(bao);
  const policy = await writePolicy(bao, place);
  const { VAULT_TOKEN: _, ...rest } = place;
  const variables = {
    ...rest,
    VAULT_ADDR: proxy.address,
    ...(await makeAppRole(bao, policy, times)),
  };
  return { proxy, variables, records: open(variables) };
}

const LOGIN = 'POST auth/approle/login';
const RENEW = 'POST auth/token/renew-self';
const count = (proxy: BaoProxy, request: string) =>
  proxy.requests.filter((one) => one === request).length;

withBao('AppRole → one login, its lease renewed for as long as it may be', async () => {
  const { proxy, records } = await appRoleVault(baoOf(found), {
    token_ttl: '2s',
    token_max_ttl: '1h',
  });
  await records.write(NAME, BODY, 0);
  await waitFor('three renewals', async () => count(proxy, RENEW) >= 3, 20_000);
  expect((await records.read(NAME))?.body).toBe(BODY);
  expect(count(proxy, LOGIN)).toBe(1);
});

withBao('a lease that cannot be renewed further → another login before it ends', async () => {
  const { proxy, records } = await appRoleVault(baoOf(found), {
    token_ttl: '3s',
    token_max_ttl: '4s',
  });
  await records.write(NAME, BODY, 0);
  await waitFor('another login', async () => count(proxy, LOGIN) >= 2, 20_000);
  const refused = proxy.requests.length;
  expect((await records.read(NAME))?.body).toBe(BODY);
  expect(proxy.requests.slice(refused)).toEqual([expect.stringMatching(/^GET secret\/data/)]);
});

withBao('a token that ends in mid-call → a login, and the call again, once', async () => {
  const bao = baoOf(found);
  const { proxy, records } = await appRoleVault(bao, { token_ttl: '1h' });
  await records.write(NAME, BODY, 0);
  await bao.ask('POST', 'auth/token/revoke', { token: proxy.token });
  const before = proxy.requests.length;
  expect((await records.read(NAME))?.body).toBe(BODY);
  expect(proxy.requests.slice(before)).toEqual([
    expect.stringMatching(/^GET secret\/data/),
    'GET auth/token/lookup-self',
    LOGIN,
    expect.stringMatching(/^GET secret\/data/),
  ]);
});

withBao('a token that ends while many call → one login', async () => {
  const bao = baoOf(found);
  const { proxy, records } = await appRoleVault(bao, { token_ttl: '1h' });
  await records.write(NAME, BODY, 0);
  await bao.ask('POST', 'auth/token/revoke', { token: proxy.token });
  const before = count(proxy, LOGIN);
  const read = await Promise.all(Array.from({ length: 20 }, () => records.read(NAME)));
  expect(read.map((record) => record?.body)).toEqual(Array(20).fill(BODY));
  expect(count(proxy, LOGIN) - before).toBe(1);
});

withBao('what the policy does not allow → worded, without a login', async () => {
  const bao = baoOf(found);
  const { proxy, variables, records } = await appRoleVault(bao, { token_ttl: '1h' });
  await records.write(NAME, BODY, 0);
  const elsewhere = open({ ...variables, DROVER_VAULT: `kv://secret/test-${randomUUID()}` });
  await expect(elsewhere.read(NAME)).rejects.toMatchObject({
    type: 'Vault.Unavailable',
    isRetryable: true,
    message: expect.stringMatching(
      /does not let this process use secret\/data.*allow "read" there/,
    ),
  });
  expect(count(proxy, LOGIN)).toBe(2);
});

withBao('VAULT_TOKEN → renewed; one that was revoked is said to be so', async () => {
  const bao = baoOf(found);
  const proxy = await proxyOf(bao);
  const place = kvVariables(bao);
  const policy = await writePolicy(bao, place);
  const { auth } = await bao.ask('POST', 'auth/token/create', { policies: [policy], ttl: '3s' });
  const VAULT_TOKEN = auth?.client_token ?? '';
  const records = open({ ...place, VAULT_ADDR: proxy.address, VAULT_TOKEN });
  await records.write(NAME, BODY, 0);
  await waitFor('two renewals', async () => count(proxy, RENEW) >= 2, 20_000);
  expect((await records.read(NAME))?.body).toBe(BODY);
  await bao.ask('POST', 'auth/token/revoke', { token: VAULT_TOKEN });
  const error = await records.read(NAME).catch((caught: Error) => caught);
  expect(error).toMatchObject({ type: 'Vault.Unavailable', isRetryable: true });
  expect(String(error)).toContain('does not know VAULT_TOKEN: it has expired or was revoked');
  expect(String(error)).not.toContain(VAULT_TOKEN);
});

withBao('a wrong secret id → worded without it', async () => {
  const bao = baoOf(found);
  const { variables } = await appRoleVault(bao, { token_ttl: '1h' });
  const records = open({ ...variables, VAULT_SECRET_ID: 'canary-wrong' });
  const error = await records.read(NAME).catch((caught: Error) => caught);
  expect(error).toMatchObject({ type: 'Vault.Unavailable', isRetryable: true });
  expect(String(error)).toMatch(
    /refuses the login at auth\/approle\/login with 400.*check VAULT_ROLE_ID and VAULT_SECRET_ID/,
  );
  expect(String(error)).not.toContain('canary');
});

async function kubernetesVault(bao: Bao, token: string) {
  const folder = await mkdtemp(join(tmpdir(), 'drover-service-account-'));
  closing.push(() => rm(folder, { recursive: true }));
  const tokenPath = join(folder, 'token');
  await writeFile(tokenPath, token);
  const place = kvVariables(bao, { VAULT_KUBERNETES_ROLE: `test-${randomUUID()}` });
  const policy = await writePolicy(bao, place);
  await bao.ask('POST', `auth/kubernetes/role/${place['VAULT_KUBERNETES_ROLE']}`, {
    bound_service_account_names: [SERVICE_ACCOUNT.name],
    bound_service_account_namespaces: [SERVICE_ACCOUNT.namespace],
    token_policies: [policy],
    token_ttl: '1h',
  });
  return { ...place, VAULT_KUBERNETES_TOKEN_FILE: tokenPath };
}

withBao(
  'a service account that the cluster knows → in; another token, or none → worded',
  async () => {
    const bao = baoOf(found);
    const review = await startTokenReview();
    closing.push(() => review.close());
    await enableAuth(bao, 'kubernetes');
    await bao.ask('POST', 'auth/kubernetes/config', {
      kubernetes_host: review.url,
      // Asked for, and of no use for plain HTTP.
      kubernetes_ca_cert: rootCertificates[0],
      disable_local_ca_jwt: true,
    });
    const token = review.issue();
    const variables = await kubernetesVault(bao, token);
    const records = open(variables);
    await records.write(NAME, BODY, 0);
    expect((await records.read(NAME))?.body).toBe(BODY);
    expect(review.reviewed).toEqual([token]);

    await writeFile(variables.VAULT_KUBERNETES_TOKEN_FILE, token.replace(/.{20}$/, 'A'.repeat(20)));
    const error = await open(variables)
      .read(NAME)
      .catch((caught: Error) => caught);
    expect(String(error)).toMatch(
      /refuses the login at auth\/kubernetes\/login.*VAULT_KUBERNETES_ROLE/,
    );
    expect(String(error)).not.toContain(token.slice(0, 40));

    await rm(variables.VAULT_KUBERNETES_TOKEN_FILE);
    await expect(open(variables).read(NAME)).rejects.toMatchObject({
      type: 'Vault.Unavailable',
      message: expect.stringMatching(
        /token .*cannot be read \(ENOENT\).*VAULT_KUBERNETES_TOKEN_FILE/,
      ),
    });
  },
);
