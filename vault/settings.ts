import type { BlockList } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { z } from 'zod';
import { PrivateNetworks } from '../dial/private-networks.ts';
import { describeIssues } from '../protocol/describe-issues.ts';
import { settingSecret, settingText as text } from '../protocol/setting.ts';
import { SecretValue } from './secret-value.ts';

const secret = settingSecret.transform((value) =>
  value === undefined ? undefined : new SecretValue(value),
);

const Variables = z.object({
  /** `file:///folder` or `kv://mount/prefix`. Default: `vault` in the state folder. */
  DROVER_VAULT: text,
  /** Keys of a folder, or the file that holds them. Default: `key` in the folder. */
  DROVER_VAULT_KEY: text.transform((value) =>
    value === undefined ? undefined : new SecretValue(value),
  ),
  DROVER_VAULT_KEY_FILE: text,
  /** Comma-separated networks that token endpoints may be in though they are not public. */
  DROVER_VAULT_PRIVATE_NETWORKS: PrivateNetworks,
  /** Of a KV version 2 server, with one way to log in: a token, an AppRole, a Kubernetes role. */
  VAULT_ADDR: text,
  VAULT_NAMESPACE: text,
  VAULT_TOKEN: secret,
  VAULT_ROLE_ID: text,
  VAULT_SECRET_ID: secret,
  VAULT_KUBERNETES_ROLE: text,
  /** Default: where Kubernetes puts the token of a pod's service account. */
  VAULT_KUBERNETES_TOKEN_FILE: text,
});
type Variables = z.infer<typeof Variables>;

export interface FolderSettings {
  readonly type: 'folder';
  readonly folder: string;
  readonly key:
    | { readonly type: 'given'; readonly text: SecretValue }
    | { readonly type: 'file'; readonly path: string };
}

export type KvLogin =
  | { readonly type: 'token'; readonly token: SecretValue }
  | { readonly type: 'approle'; readonly roleId: string; readonly secretId: SecretValue }
  | { readonly type: 'kubernetes'; readonly role: string; readonly tokenPath: string };

export interface KvSettings {
  readonly type: 'kv';
  readonly address: string;
  readonly mount: string;
  /** Empty, or words between slashes with one at the end. */
  readonly prefix: string;
  readonly namespace: string | null;
  readonly login: KvLogin;
}

export interface VaultSettings {
  readonly backend: FolderSettings | KvSettings;
  /** What may be dialled though it is not public. */
  readonly privateNetworks: BlockList;
}

const SHAPE = 'must be file:///folder or kv://mount/prefix';

/** @throws Error naming every variable that is wrong; no value of theirs is in it. */
export function readVaultSettings(
  variables: Readonly<Record<string, string | undefined>>,
  stateFolder: string,
): VaultSettings {
  const parsed = Variables.safeParse(variables);
  if (!parsed.success) throw new Error(describeIssues(parsed.error, 'environment'));
  const values = parsed.data;
  const url = values.DROVER_VAULT ?? pathToFileURL(join(stateFolder, 'vault')).href;
  return {
    backend: toBackend(url, values),
    privateNetworks: values.DROVER_VAULT_PRIVATE_NETWORKS,
  };
}

function toBackend(value: string, values: Variables): FolderSettings | KvSettings {
  // Not `URL.parse`: the command line runs on Node 20, which does not have it.
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || url.username + url.password + url.search + url.hash !== '') {
    throw wrong('DROVER_VAULT', SHAPE);
  }
  if (url.protocol === 'file:') return toFolder(url, values);
  if (url.protocol === 'kv:') return toKv(url, values);
  throw wrong('DROVER_VAULT', SHAPE);
}

function toFolder(url: URL, values: Variables): FolderSettings {
  if (url.host !== '') {
    throw wrong('DROVER_VAULT', 'needs three slashes before its path: file:///folder');
  }
  const folder = fileURLToPath(url);
  if (!isAbsolute(folder) || folder === '/') throw wrong('DROVER_VAULT', SHAPE);
  const { DROVER_VAULT_KEY: given, DROVER_VAULT_KEY_FILE: path } = values;
  if (given !== undefined && path !== undefined) {
    throw wrong('DROVER_VAULT_KEY', 'or DROVER_VAULT_KEY_FILE must be set, not both');
  }
  if (given !== undefined) return { type: 'folder', folder, key: { type: 'given', text: given } };
  return { type: 'folder', folder, key: { type: 'file', path: path ?? join(folder, 'key') } };
}

function toKv(url: URL, values: Variables): KvSettings {
  const words = decodeURIComponent(url.pathname).split('/');
  const prefix = words.filter((word) => word !== '');
  if (url.host === '' || prefix.some((word) => !/^[\w-][\w.-]*$/.test(word))) {
    throw wrong('DROVER_VAULT', SHAPE);
  }
  return {
    type: 'kv',
    address: toAddress(values.VAULT_ADDR),
    mount: url.host,
    prefix: prefix.map((word) => `${word}/`).join(''),
    namespace: values.VAULT_NAMESPACE ?? null,
    login: toLogin(values),
  };
}

function toAddress(value: string | undefined): string {
  if (value === undefined) throw wrong('VAULT_ADDR', 'must be set: DROVER_VAULT names kv://');
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol);
  if (!isPlain || url.username + url.password + url.search + url.hash !== '') {
    throw wrong('VAULT_ADDR', 'must be an http or https URL with no name and password in it');
  }
  return url.href.replace(/\/+$/, '');
}

const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const WAYS = 'VAULT_TOKEN, VAULT_ROLE_ID with VAULT_SECRET_ID, or VAULT_KUBERNETES_ROLE';

function toLogin(values: Variables): KvLogin {
  const { VAULT_TOKEN: token, VAULT_ROLE_ID: roleId, VAULT_SECRET_ID: secretId } = values;
  const { VAULT_KUBERNETES_ROLE: role } = values;
  if ((roleId === undefined) !== (secretId === undefined)) {
    throw wrong('VAULT_ROLE_ID', 'and VAULT_SECRET_ID must be set together, or neither');
  }
  if ([token, roleId, role].filter((way) => way !== undefined).length > 1) {
    throw wrong('VAULT_TOKEN', `must not be set beside another way to log in: choose ${WAYS}`);
  }
  if (token !== undefined) return { type: 'token', token };
  if (roleId !== undefined && secretId !== undefined) return { type: 'approle', roleId, secretId };
  if (role === undefined) throw wrong('VAULT_TOKEN', `must be set, or another way: ${WAYS}`);
  const tokenPath = values.VAULT_KUBERNETES_TOKEN_FILE ?? SERVICE_ACCOUNT_TOKEN;
  return { type: 'kubernetes', role, tokenPath };
}

function wrong(variable: string, what: string): Error {
  return new Error(`environment: ${variable} ${what}`);
}
