import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished } from 'vitest';
import { REMOTE_ROOT } from '../../egress/git-variables.ts';
import type { TokenRepository } from '../../egress/hand-token.ts';
import { SecretValue } from '../../vault/secret-value.ts';
import { type GitGateway, startGitGateway } from './git-gateway.ts';
import { type GitTestServer, gitEnvironment, startGitServer } from './git-server.ts';

export const USERNAME = 'x-access-token';
export const SECRET = 'ghs_canary/Secret+Value-0123456789';
type Push = TokenRepository['push'];
export const NOTHING: Push = { branches: [], tags: [], force: false, delete: false };
export const BRANCHES: Push = { ...NOTHING, branches: ['drover/*', 'main'] };

export interface Ran {
  readonly code: number | null;
  readonly said: string;
}

/** A hand's git, with nothing but the variables of its commands. */
export interface GitClient {
  readonly folder: string;
  readonly variables: Readonly<Record<string, string>>;
  git(...words: readonly string[]): Promise<Ran>;
  /** The same, which must succeed. */
  done(...words: readonly string[]): Promise<string>;
  commit(message: string): Promise<void>;
}

/** A client in a clone of a repository that nobody else uses. */
export interface ClonedRepository extends GitClient {
  readonly name: string;
  /** Of the commits that it began with. */
  readonly ids: readonly string[];
  readonly token: string;
  /** Where the server has a ref. */
  head(ref?: string): string;
}

export interface GitWorld {
  readonly server: GitTestServer;
  readonly gateway: GitGateway;
  repository(name: string, change?: Partial<TokenRepository>): TokenRepository;
  client(token: string, through?: GitGateway): GitClient;
  cloned(push?: Push): Promise<ClonedRepository>;
}

/** A Git server, the gateway before it, and clients that reach it by nothing else. */
export function useGitWorld(): () => GitWorld {
  let world: GitWorld | undefined;
  const get = (): GitWorld => {
    if (world === undefined) throw new Error('it is not there yet');
    return world;
  };
  beforeAll(async () => {
    const server = await startGitServer({ username: USERNAME, secret: SECRET });
    world = toWorld(server, await startGitGateway());
  });
  afterAll(async () => {
    await world?.gateway.close();
    await world?.server.close();
  });
  beforeEach(() => {
    const { server, gateway } = get();
    const token = new SecretValue(SECRET);
    gateway.secrets.set('git', { type: 'git', url: server.url, username: USERNAME, token });
    gateway.checkHeld = () => {};
    server.intercept = () => false;
  });
  return get;
}

function toWorld(server: GitTestServer, gateway: GitGateway): GitWorld {
  let count = 0;
  const repository: GitWorld['repository'] = (name, change = {}) => ({
    name,
    url: `${server.url}/${name}.git`,
    vault_id: 'vault',
    credential_id: 'git',
    push: BRANCHES,
    ...change,
  });
  const client: GitWorld['client'] = (token, through = gateway) =>
    createGitClient(through.variables(token));
  return {
    server,
    gateway,
    repository,
    client,
    async cloned(push = BRANCHES) {
      count += 1;
      const name = `repository-${count}`;
      const ids = server.addRepository(name);
      const token = gateway.token([repository(name, { push })]);
      const hand = client(token);
      await hand.done('clone', '--quiet', `${REMOTE_ROOT}${name}.git`, '.');
      const head = (ref = 'main') => server.git(name, 'rev-parse', ref);
      return { ...hand, name, ids, token, head };
    },
  };
}

function createGitClient(variables: Readonly<Record<string, string>>): GitClient {
  const folder = mkdtempSync(join(tmpdir(), 'drover-git-client-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const git = async (...words: readonly string[]): Promise<Ran> => {
    const child = spawn('git', [...words], {
      cwd: folder,
      env: { ...gitEnvironment(), ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = Promise.all([text(child.stdout), text(child.stderr)]);
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, said: (await said).join('').trim() };
  };
  const done = async (...words: readonly string[]): Promise<string> => {
    const { code, said } = await git(...words);
    expect(`${code}: ${said}`).toBe(`0: ${said}`);
    return said;
  };
  const commit = async (message: string): Promise<void> => {
    writeFileSync(join(folder, 'file.txt'), `${message}\n`);
    await done('commit', '--quiet', '--all', '--message', message);
  };
  return { folder, variables, git, done, commit };
}
