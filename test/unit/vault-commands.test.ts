import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runCommandLine } from '../../client/command-line/run-command-line.ts';
import { openVault } from '../../vault/open-vault.ts';
import { makeVaultFolder, type VaultFolder } from '../support/vault-folder.ts';

const SECRET = 'canary-4711-typed';
const GIT = '{"type":"git","url":"https://git.example/acme/"}';

let folder: VaultFolder;
beforeEach(async () => {
  folder = await makeVaultFolder();
  for (const [name, value] of Object.entries(folder.variables)) vi.stubEnv(name, value);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await folder.remove();
});

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const everything: string[] = [];
afterEach(() => {
  expect(everything.splice(0).join('\n')).not.toContain('canary');
});

/** Without a Temporal server: these commands ask none. */
async function run(args: readonly string[], stdin: AsyncIterable<Buffer> = pipe('')): Promise<Ran> {
  const stdout: string[] = [];
  const stderr: string[] = [];
  const code = await runCommandLine(args, 'drover', {
    stdin,
    stdout: { write: (text: string) => stdout.push(text) },
    stderr: { write: (text: string) => stderr.push(text) },
    signal: new AbortController().signal,
  });
  everything.push(...stdout, ...stderr);
  return { code, stdout: stdout.join(''), stderr: stderr.join('') };
}

function pipe(text: string): AsyncIterable<Buffer> {
  return Readable.from(text === '' ? [] : [Buffer.from(text)]);
}

async function createGit(): Promise<Ran> {
  await run(['vaults', 'create', 'team']);
  return run(['credentials', 'create', 'team', 'git', GIT], pipe(`${SECRET}\n`));
}

test('a vault → created, listed, read and archived', async () => {
  const created = await run([
    ...['vaults', 'create', 'team', '--display-name', 'The team', '--metadata', 'cost=42'],
    ...['--allow-agent', 'support', 'triage', '--allow-owner', 'anna'],
  ]);
  expect(created).toMatchObject({ code: 0, stdout: 'team\n' });
  const { stdout } = await run(['-o', 'json', 'vaults', 'get', 'team']);
  expect(JSON.parse(stdout)).toMatchObject({
    type: 'vault',
    id: 'team',
    display_name: 'The team',
    metadata: { cost: '42' },
    allowed_agents: ['support', 'triage'],
    allowed_owners: ['anna'],
    archived_at: null,
  });
  expect((await run(['vaults', 'list'])).stdout).toMatch(/^ID +NAME.*\nteam +The team +active/);
  expect((await run(['vaults', 'archive', 'team'])).code).toBe(0);
  expect((await run(['vaults', 'list'])).stdout).toBe('no vaults\n');
  expect((await run(['vaults', 'list', '--archived'])).stdout).toContain('archived');
});

test('a credential → created from standard input, and never shown', async () => {
  expect(await createGit()).toMatchObject({ code: 0, stdout: 'git\n' });
  const listed = await run(['credentials', 'list', 'team']);
  expect(listed.stdout).toMatch(/git +git +https:\/\/git.example\/acme\/ +active/);
  const { stdout } = await run(['-o', 'json', 'credentials', 'list', 'team']);
  expect(JSON.parse(stdout)).toEqual([
    expect.objectContaining({
      type: 'vault_credential',
      id: 'git',
      auth: { type: 'git', url: 'https://git.example/acme/', username: 'x-access-token' },
    }),
  ]);
  const vault = openVault(folder.settings());
  const secret = await vault.secret({ vault_id: 'team', credential_id: 'git' });
  expect(secret).toMatchObject({ type: 'git', username: 'x-access-token' });
  expect(secret.type === 'git' && secret.token.reveal()).toBe(SECRET);
});

test('a value from a file, rotated, then archived', async () => {
  await createGit();
  const path = join(folder.path, '..', 'value');
  await writeFile(path, 'canary-of-the-file');
  const args = ['credentials', 'rotate', 'team', 'git', '--value-file', path];
  expect(await run(args)).toMatchObject({ code: 0, stdout: 'git has another value\n' });
  const vault = openVault(folder.settings());
  const secret = await vault.secret({ vault_id: 'team', credential_id: 'git' });
  expect(secret.type === 'git' && secret.token.reveal()).toBe('canary-of-the-file');
  expect((await run(['credentials', 'archive', 'team', 'git'])).code).toBe(0);
  expect((await run(['credentials', 'list', 'team'])).stdout).toBe('no credentials\n');
  const again = await run(['credentials', 'rotate', 'team', 'git'], pipe(SECRET));
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('was archived at') });
});

test('a new value of an oauth credential → what it comes without stays', async () => {
  await run(['vaults', 'create', 'team']);
  const auth = {
    type: 'mcp_oauth',
    mcp_server_url: 'https://mcp.example/mcp',
    refresh: {
      client_id: 'client',
      token_endpoint: 'https://login.example/token',
      token_endpoint_auth: { type: 'client_secret_post' },
    },
  };
  const value = { access_token: 'canary-a', refresh_token: 'canary-r', client_secret: 'canary-c' };
  const args = ['team', 'mcp', JSON.stringify(auth)];
  await run(['credentials', 'create', ...args], pipe(JSON.stringify(value)));
  const answer = JSON.stringify({ access_token: 'canary-b', expires_in: 60, token_type: 'Bearer' });
  const { stdout } = await run(
    ['-o', 'json', 'credentials', 'rotate', 'team', 'mcp'],
    pipe(answer),
  );
  const { expires_at } = JSON.parse(stdout).auth;
  expect(Date.parse(expires_at) - Date.now()).toBeGreaterThan(50_000);
  const vault = openVault(folder.settings());
  expect(await vault.accessToken({ vault_id: 'team', credential_id: 'mcp' })).toBe('canary-b');
});

const OAUTH = '{"type":"mcp_oauth","mcp_server_url":"https://mcp.example"}';
const REFRESHED = JSON.stringify({
  type: 'mcp_oauth',
  mcp_server_url: 'https://mcp.example',
  refresh: {
    client_id: 'c',
    token_endpoint: 'https://login.example/token',
    token_endpoint_auth: { type: 'client_secret_basic' },
  },
});
const VARIABLE = JSON.stringify({
  type: 'environment_variable',
  secret_name: 'API_KEY',
  networking: { type: 'limited', allowed_hosts: ['api.example'] },
});

test.each([
  ['an unknown vault', ['nowhere', 'x', GIT], SECRET, 'there is no vault nowhere'],
  ['a malformed id', ['team', 'a/b', GIT], SECRET, 'credential.id: must be 1 to 64 letters'],
  [
    'an id that is there',
    ['team', 'git', '{"type":"git","url":"https://x.example"}'],
    SECRET,
    'already',
  ],
  ['a use that is taken', ['team', 'other', GIT], SECRET, 'for the same use as credential git'],
  ['no JSON', ['team', 'x', 'git'], SECRET, 'auth: give JSON such as'],
  ['an unknown kind', ['team', 'x', '{"type":"password"}'], SECRET, 'credential.auth.type'],
  [
    'a secret among what is shown',
    ['team', 'x', '{"type":"git","url":"https://x.example","token":"canary"}'],
    SECRET,
    'Unrecognized key: "token"',
  ],
  [
    'a password in an address',
    ['team', 'x', '{"type":"git","url":"https://a:canary@x.example"}'],
    SECRET,
    'credential.auth.url: must be the http or https URL',
  ],
  [
    'no value',
    ['team', 'x', '{"type":"git","url":"https://x.example"}'],
    '',
    "the credential's value is empty",
  ],
  [
    'a value of two lines',
    ['team', 'x', '{"type":"git","url":"https://x.example"}'],
    'canary\ntwo',
    'must be one line of ASCII',
  ],
  [
    'a value that no header takes',
    ['team', 'x', VARIABLE],
    'canary\u00e9',
    'may be put into headers',
  ],
  ['no tokens', ['team', 'x', OAUTH], SECRET, 'must be JSON with "access_token"'],
  [
    'tokens of another shape',
    ['team', 'x', OAUTH],
    '{"access_token":{"canary":1}}',
    'wrong: access_token',
  ],
  [
    'a refresh token for nobody',
    ['team', 'x', OAUTH],
    '{"access_token":"canary","refresh_token":"canary"}',
    'names no token endpoint',
  ],
  [
    'no refresh token',
    ['team', 'x', REFRESHED],
    '{"access_token":"canary"}',
    'its value holds no "refresh_token"',
  ],
  [
    "no client's secret",
    ['team', 'x', REFRESHED],
    '{"access_token":"canary","refresh_token":"canary"}',
    'needs a "client_secret"',
  ],
] as const)('%s → refused in words without the value', async (_name, args, value, words) => {
  await createGit();
  const ran = await run(['credentials', 'create', ...args], pipe(value));
  expect(ran).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(words) });
  expect(ran.stderr.trimEnd().split('\n')).toHaveLength(1);
});

test('a terminal as standard input → refused, since it would show the value', async () => {
  await run(['vaults', 'create', 'team']);
  const terminal = Object.assign(Readable.from([]), { isTTY: true });
  const ran = await run(['credentials', 'create', 'team', 'git', GIT], terminal);
  expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('by standard input') });
});

test('errors for programs → one JSON line with their type', async () => {
  const { stderr } = await run(['-o', 'json', 'vaults', 'get', 'nowhere']);
  expect(JSON.parse(stderr).error.code).toBe('Vault.NotFound');
});
