import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { SecretValue } from '../../vault/secret-value.ts';
import { readVaultSettings } from '../../vault/settings.ts';

const STATE = '/var/lib/drover';
const KV = { DROVER_VAULT: 'kv://secret/drover/prod', VAULT_ADDR: 'https://vault.example:8200/' };

test('nothing set → a folder beside the state, with its key in it', () => {
  expect(readVaultSettings({}, STATE).backend).toEqual({
    type: 'folder',
    folder: '/var/lib/drover/vault',
    key: { type: 'file', path: '/var/lib/drover/vault/key' },
  });
  const elsewhere = { DROVER_VAULT: 'file:///srv/v', DROVER_VAULT_KEY_FILE: '/run/key' };
  expect(readVaultSettings(elsewhere, STATE).backend).toMatchObject({
    folder: '/srv/v',
    key: { type: 'file', path: '/run/key' },
  });
});

test.each([
  ['a token', { VAULT_TOKEN: 'canary' }, 'token'],
  ['an AppRole', { VAULT_ROLE_ID: 'id', VAULT_SECRET_ID: 'canary' }, 'approle'],
  ['a Kubernetes role', { VAULT_KUBERNETES_ROLE: 'drover' }, 'kubernetes'],
])('a KV server and %s → how to log in', (_name, login, type) => {
  const { backend } = readVaultSettings({ ...KV, ...login, VAULT_NAMESPACE: 'team' }, STATE);
  expect(backend).toMatchObject({
    type: 'kv',
    address: 'https://vault.example:8200',
    mount: 'secret',
    prefix: 'drover/prod/',
    namespace: 'team',
    login: { type },
  });
  expect(JSON.stringify(backend) + inspect(backend, { depth: 9 })).not.toContain('canary');
});

test.each([
  ['another scheme', { DROVER_VAULT: 'redis://x' }, 'DROVER_VAULT must be file:///folder or kv://'],
  ['no URL', { DROVER_VAULT: 'vault' }, 'DROVER_VAULT must be'],
  ['a host of a folder', { DROVER_VAULT: 'file://x/y' }, 'needs three slashes'],
  ['the root', { DROVER_VAULT: 'file:///' }, 'DROVER_VAULT must be'],
  [
    'a way out of the mount',
    { ...KV, DROVER_VAULT: 'kv://secret/a%2f..%2fb', VAULT_TOKEN: 't' },
    'DROVER_VAULT must be',
  ],
  ['no address', { DROVER_VAULT: 'kv://secret', VAULT_TOKEN: 't' }, 'VAULT_ADDR must be set'],
  [
    'a password in the address',
    { ...KV, VAULT_ADDR: 'https://a:canary@x', VAULT_TOKEN: 't' },
    'VAULT_ADDR must be an http',
  ],
  ['no login', KV, 'VAULT_TOKEN must be set, or another way'],
  [
    'two logins',
    { ...KV, VAULT_TOKEN: 'canary', VAULT_KUBERNETES_ROLE: 'r' },
    'must not be set beside another way',
  ],
  ['half an AppRole', { ...KV, VAULT_ROLE_ID: 'r' }, 'and VAULT_SECRET_ID must be set together'],
  [
    'a token of two lines',
    { ...KV, VAULT_TOKEN: 'canary\ncanary' },
    'VAULT_TOKEN: must be one line',
  ],
  [
    'two keys',
    { DROVER_VAULT_KEY: 'canary', DROVER_VAULT_KEY_FILE: '/k' },
    'must be set, not both',
  ],
  ['no network', { DROVER_VAULT_PRIVATE_NETWORKS: '10.0.0.0' }, '"10.0.0.0" is no network'],
])('%s → refused, naming the variable and no value', (_name, variables, words) => {
  const read = () => readVaultSettings(variables, STATE);
  expect(read).toThrow(words);
  expect(read).not.toThrow(/canary/);
});

test('a secret value → shown by none of the ways in which values are shown', () => {
  const value = new SecretValue('canary');
  const shown = [
    String(value),
    `${value}`,
    JSON.stringify({ value }),
    inspect({ value }, { showHidden: true }),
    Object.entries(value).join(),
    JSON.stringify(structuredClone({ ...value })),
  ];
  expect(shown.join()).not.toContain('canary');
  expect(value.reveal()).toBe('canary');
});
