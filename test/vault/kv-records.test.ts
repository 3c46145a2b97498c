import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { openVaultKeeper } from '../../vault/keeper.ts';
import { openRecords } from '../../vault/open-records.ts';
import { openVault } from '../../vault/open-vault.ts';
import { baoOf, findBao, kvSettings, kvVariables, writePolicy } from '../support/bao.ts';
import { LOOPBACK } from '../support/oauth-credential.ts';
import { refreshStorm } from '../support/refresh-storm.ts';

const found = findBao();
const withBao = test.skipIf(found === undefined);
const NAME = 'credentials/team/api';

const body = (value: string) => JSON.stringify({ value });

function pathOf(variables: Readonly<Record<string, string>>, part: string, name: string): string {
  const { host, pathname } = new URL(variables['DROVER_VAULT'] ?? '');
  return `${host}/${part}${pathname}/${name}`;
}

withBao('what is written is read with its version, and listed', async () => {
  const records = openRecords(kvSettings(kvVariables(baoOf(found))));
  expect(await records.read(NAME)).toBeUndefined();
  expect(await records.list('credentials/team')).toEqual([]);
  expect(await records.write(NAME, body('one'), 0)).toBe(1);
  expect(await records.write(NAME, body('two'), 1)).toBe(2);
  expect(await records.write('credentials/team/b', body('b'), 0)).toBe(1);
  expect(await records.read(NAME)).toEqual({ body: body('two'), version: 2 });
  expect(await records.list('credentials/team')).toEqual(['api', 'b']);
  records.close();
});

withBao('a write over another version than the one that was read → refused', async () => {
  const records = openRecords(kvSettings(kvVariables(baoOf(found))));
  await records.write(NAME, body('one'), 0);
  expect(await records.write(NAME, body('again'), 0)).toBeUndefined();
  const written = await Promise.all(
    Array.from({ length: 8 }, (_, index) => records.write(NAME, body(String(index)), 1)),
  );
  expect(written.filter((version) => version === 2)).toHaveLength(1);
  expect(written.filter((version) => version === undefined)).toHaveLength(7);
  records.close();
});

withBao('a secret that an operator deleted → not there, and can be made again', async () => {
  const bao = baoOf(found);
  const variables = kvVariables(bao);
  const records = openRecords(kvSettings(variables));
  await records.write(NAME, body('one'), 0);
  await bao.ask('DELETE', pathOf(variables, 'data', NAME));
  expect(await records.read(NAME)).toBeUndefined();
  expect(await records.write(NAME, body('two'), 0)).toBe(2);
  expect((await records.read(NAME))?.body).toBe(body('two'));
  records.close();
});

withBao(
  'a rotation and an archive → the values of before are destroyed on the server',
  async () => {
    const bao = baoOf(found);
    const variables = kvVariables(bao);
    const keeper = openVaultKeeper(kvSettings(variables));
    await keeper.createVault({ id: 'team' });
    const auth = { type: 'git', url: 'https://git.example/team/' } as const;
    await keeper.createCredential({ vault_id: 'team', id: 'git', auth }, 'canary-one');
    const reference = { vault_id: 'team', credential_id: 'git' };
    await keeper.rotateCredential(reference, 'canary-two');
    const path = pathOf(variables, 'data', 'credentials/team/git');
    await expect(bao.ask('GET', `${path}?version=1`)).rejects.toThrow('404');
    expect(JSON.stringify(await bao.ask('GET', path))).toContain('canary-two');
    await keeper.archiveCredential(reference);
    await expect(bao.ask('GET', `${path}?version=2`)).rejects.toThrow('404');
    expect(JSON.stringify(await bao.ask('GET', path))).not.toContain('canary');
    keeper.close();
  },
);

withBao('a rotation whose policy destroys nothing → said, with what is missing', async () => {
  const bao = baoOf(found);
  const variables = kvVariables(bao);
  const root = openVaultKeeper(kvSettings(variables));
  await root.createVault({ id: 'team' });
  const auth = { type: 'git', url: 'https://git.example/team/' } as const;
  await root.createCredential({ vault_id: 'team', id: 'git', auth }, 'one');
  const policy = await writePolicy(bao, variables);
  const { auth: granted } = await bao.ask('POST', 'auth/token/create', { policies: [policy] });
  const limited = kvSettings({ ...variables, VAULT_TOKEN: granted?.client_token ?? '' });
  const keeper = openVaultKeeper(limited);
  await expect(
    keeper.rotateCredential({ vault_id: 'team', credential_id: 'git' }, 'two'),
  ).rejects.toThrow(/secret\/destroy\/.*its policy must allow "update" there/);
  root.close();
  keeper.close();
});

withBao('namespaces → the same name is another record in each', async () => {
  const bao = baoOf(found);
  const namespace = `test-${randomUUID()}`;
  await bao.ask('POST', `sys/namespaces/${namespace}`);
  try {
    await bao.ask(
      'POST',
      'sys/mounts/secret',
      { type: 'kv', options: { version: '2' } },
      namespace,
    );
    const variables = kvVariables(bao);
    const outside = openRecords(kvSettings(variables));
    const inside = openRecords(kvSettings({ ...variables, VAULT_NAMESPACE: namespace }));
    // A new mount is upgraded for a moment.
    await expect.poll(() => inside.write(NAME, body('in'), 0).catch(() => null)).toBe(1);
    expect(await outside.read(NAME)).toBeUndefined();
    expect(await outside.write(NAME, body('out'), 0)).toBe(1);
    expect((await inside.read(NAME))?.body).toBe(body('in'));
    outside.close();
    inside.close();
  } finally {
    await bao.ask('DELETE', `sys/namespaces/${namespace}`);
  }
});

withBao('a mount that is none, or of another kind → worded', async () => {
  const bao = baoOf(found);
  const variables = { ...kvVariables(bao), DROVER_VAULT: 'kv://cubbyhole/drover' };
  const records = openRecords(kvSettings(variables));
  await expect(records.write(NAME, body('one'), 0)).rejects.toMatchObject({
    type: 'Vault.Unavailable',
    message: expect.stringMatching(
      /answers \d+ for cubbyhole\/data.*is cubbyhole a KV version 2 mount/,
    ),
  });
  records.close();
});

withBao('a rotation is seen within the time that reads are kept', async () => {
  const settings = kvSettings(kvVariables(baoOf(found)));
  const keeper = openVaultKeeper(settings);
  const vault = openVault(settings);
  await keeper.createVault({ id: 'team' });
  const auth = { type: 'static_bearer', mcp_server_url: 'https://mcp.example' } as const;
  await keeper.createCredential({ vault_id: 'team', id: 'api', auth }, 'one');
  const reference = { vault_id: 'team', credential_id: 'api' };
  expect(await vault.accessToken(reference)).toBe('one');
  await keeper.rotateCredential(reference, 'two');
  await expect.poll(() => vault.accessToken(reference), { timeout: 6_000 }).toBe('two');
  await keeper.archiveCredential(reference);
  await expect
    .poll(() => vault.accessToken(reference).catch(({ type }) => type), { timeout: 6_000 })
    .toBe('Vault.CredentialNotFound');
  keeper.close();
  await vault.close();
});

withBao(
  'two processes refresh one credential at once, 200 times → no token is used twice',
  async () => {
    const variables = kvVariables(baoOf(found), LOOPBACK);
    await refreshStorm(kvSettings(variables), variables);
  },
  240_000,
);
