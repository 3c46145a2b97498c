import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { answerByGit } from '../../bench/vault/git-backend.ts';

/** A real Git server that wants a name and a password. */
export interface GitTestServer {
  readonly url: string;
  readonly port: number;
  /** Folder of the bare repositories. */
  readonly root: string;
  /** Requests that came, oldest first. */
  readonly requests: readonly IncomingMessage[];
  /** Answers instead of Git while it says true. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Makes `<name>.git` with commits on branch `main`, the latest last, and gives their ids. */
  addRepository(name: string, messages?: readonly string[]): readonly string[];
  /** Runs git in the repository. */
  git(name: string, ...words: readonly string[]): string;
  close(): Promise<void>;
}

export interface GitTestServerOptions {
  readonly username: string;
  readonly secret: string;
}

export async function startGitServer(credential: GitTestServerOptions): Promise<GitTestServer> {
  const root = mkdtempSync(join(tmpdir(), 'drover-git-'));
  const requests: IncomingMessage[] = [];
  const { username, secret } = credential;
  const expected = `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`;
  const server = createServer((request, response) => {
    requests.push(request);
    if (self.intercept(request, response)) return;
    if (request.headers.authorization !== expected) {
      request.resume();
      const headers = { 'WWW-Authenticate': 'Basic realm="upstream"', 'Set-Cookie': 'a=b' };
      response.writeHead(401, headers).end('who are you?');
      return;
    }
    answerByGit(request, response, { root, user: username }).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const pathOf = (name: string): string => join(root, `${name}.git`);
  const self: GitTestServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    root,
    requests,
    intercept: () => false,
    addRepository(name, messages = ['first', 'second']) {
      mkdirSync(dirname(pathOf(name)), { recursive: true });
      runGit(root, 'init', '--quiet', '--bare', '--initial-branch=main', pathOf(name));
      const work = mkdtempSync(join(tmpdir(), 'drover-git-work-'));
      try {
        runGit(work, 'clone', '--quiet', pathOf(name), '.');
        for (const message of messages) {
          writeFileSync(join(work, 'file.txt'), `${message}\n`);
          runGit(work, 'add', '.');
          runGit(work, 'commit', '--quiet', '--message', message);
        }
        runGit(work, 'push', '--quiet', 'origin', 'HEAD:main');
        return runGit(work, 'rev-list', '--reverse', 'HEAD').split('\n');
      } finally {
        rmSync(work, { recursive: true });
      }
    },
    git: (name, ...words) => runGit(pathOf(name), ...words),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(root, { recursive: true });
    },
  };
  return self;
}

/** Runs git as nobody in particular: no configuration of this machine. */
export function runGit(folder: string, ...words: readonly string[]): string {
  return execFileSync('git', [...words], {
    cwd: folder,
    encoding: 'utf8',
    env: gitEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

export function gitEnvironment(): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'test',
    GIT_AUTHOR_EMAIL: 'test@test',
    GIT_COMMITTER_NAME: 'test',
    GIT_COMMITTER_EMAIL: 'test@test',
    LC_ALL: 'C.UTF-8',
  };
}
