import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { answerByGit } from '../../bench/vault/git-backend.ts';
import { createGitServer } from '../../egress/git-server.ts';
import { REMOTE_ROOT } from '../../egress/git-variables.ts';
import { Refusal } from '../../egress/refusal.ts';
import { SecretValue } from '../../vault/secret-value.ts';
import type { CredentialSecret } from '../../vault/vault.ts';
import { startUpstream } from '../support/egress-upstream.ts';
import { startGitGateway } from '../support/git-gateway.ts';
import { startGitServer } from '../support/git-server.ts';
import { type Ran, SECRET, USERNAME, useGitWorld } from '../support/git-world.ts';

const world = useGitWorld();

describe('a repository through the gateway', () => {
  test('clone, fetch, pull and push, with nothing of the credential in the hand', async () => {
    const hand = await world().cloned();
    expect(readFileSync(join(hand.folder, 'file.txt'), 'utf8')).toBe('second\n');
    await hand.commit('third');
    await hand.done('push', '--quiet', 'origin', 'main');
    expect(hand.head()).toBe(await hand.done('rev-parse', 'HEAD'));
    const other = world().client(world().gateway.token([world().repository(hand.name)]));
    await other.done('clone', '--quiet', `${REMOTE_ROOT}${hand.name}.git`, '.');
    await other.commit('fourth');
    await other.done('push', '--quiet');
    await hand.done('fetch', '--quiet');
    await hand.done('pull', '--quiet');
    expect(readFileSync(join(hand.folder, 'file.txt'), 'utf8')).toBe('fourth\n');
    const config = readFileSync(join(hand.folder, '.git/config'), 'utf8');
    expect(config).toContain(`url = ${REMOTE_ROOT}${hand.name}.git`);
    expect(config).not.toMatch(/Bearer|127\.0\.0\.1/);
    const encoded = Buffer.from(`${USERNAME}:${SECRET}`).toString('base64');
    for (const secret of [SECRET, encoded, encodeURIComponent(SECRET)]) {
      expect(JSON.stringify(hand.variables)).not.toContain(secret);
    }
  });

  test.each(['0', '1', '2'])('version %s of the protocol → goes on as it is', async (version) => {
    const hand = await world().cloned();
    const before = world().server.requests.length;
    await hand.done('-c', `protocol.version=${version}`, 'fetch', '--quiet', '--refetch');
    const asked = world()
      .server.requests.slice(before)
      .map(({ headers }) => headers['git-protocol']);
    expect(new Set(asked)).toEqual(new Set([version === '0' ? undefined : `version=${version}`]));
    await hand.commit(`by version ${version}`);
    await hand.done('-c', `protocol.version=${version}`, 'push', '--quiet', 'origin', 'main');
  });

  test('a shallow clone, and a push from it', async () => {
    const hand = await world().cloned();
    const shallow = world().client(world().gateway.token([world().repository(hand.name)]));
    await shallow.done('clone', '--quiet', '--depth=1', `${REMOTE_ROOT}${hand.name}.git`, '.');
    await shallow.commit('from little');
    await shallow.done('push', '--quiet', 'origin', 'main');
    await hand.done('fetch', '--quiet', '--unshallow').catch(() => {});
    await hand.done('pull', '--quiet');
    expect(await hand.done('rev-list', '--count', 'HEAD')).toBe('3');
  });

  test('many refs to ask for → the request is gzipped, and goes on', async () => {
    const hand = await world().cloned();
    const tree = world().server.git(hand.name, 'rev-parse', 'main^{tree}');
    for (let index = 0; index < 40; index += 1) {
      const id = world().server.git(hand.name, 'commit-tree', tree, '-m', `${index}`);
      world().server.git(hand.name, 'update-ref', `refs/heads/many-${index}`, id);
    }
    const before = world().server.requests.length;
    await hand.done('fetch', '--quiet');
    const asked = world()
      .server.requests.slice(before)
      .map(({ headers }) => headers['content-encoding']);
    expect(asked).toContain('gzip');
    expect(await hand.done('rev-parse', 'origin/many-39')).toBe(hand.head('many-39'));
  });

  test('much to push → in chunks, and whole', async () => {
    const hand = await world().cloned();
    writeFileSync(join(hand.folder, 'large'), Buffer.alloc(6_000_000, Math.random().toString(36)));
    writeFileSync(join(hand.folder, 'random'), randomBytes(6_000_000));
    await hand.done('add', '.');
    await hand.commit('large');
    const before = world().server.requests.length;
    await hand.done(
      '-c',
      'http.postBuffer=65536',
      'push',
      '--quiet',
      'origin',
      'main',
      'main:drover/new',
    );
    const codings = world()
      .server.requests.slice(before)
      .map(({ headers }) => headers['transfer-encoding']);
    expect(codings).toContain('chunked');
    expect(world().server.git(hand.name, 'fsck', '--full')).not.toMatch(/error|missing/);
    expect(hand.head('drover/new')).toBe(hand.head());
  });
});

describe('who may reach what', () => {
  const ask = (token: string, name: string, through = world().gateway): Promise<Ran> =>
    world().client(token, through).git('ls-remote', `${REMOTE_ROOT}${name}.git`);

  test.each<[string, () => { token: string; name: string }, RegExp]>([
    [
      'another repository',
      () => ({ token: world().gateway.token([world().repository('one')]), name: 'two' }),
      /repository two is none of this hand's/,
    ],
    [
      'with the token of another hand',
      () => ({
        token: world().gateway.token([world().repository('one')], { addresses: ['10.9.9.9'] }),
        name: 'one',
      }),
      /the token is that of another hand/,
    ],
    [
      'with a token that has expired',
      () => ({
        token: world().gateway.token([world().repository('one')], { expires: 1 }),
        name: 'one',
      }),
      /has expired/,
    ],
    [
      'with a credential that is for another place',
      () => ({
        token: world().gateway.token([
          world().repository('one', { url: `http://localhost:${world().server.port}/one.git` }),
        ]),
        name: 'one',
      }),
      /credential git of vault vault is for another place/,
    ],
    [
      'out of the place of its credential',
      () => {
        world().gateway.secrets.set('narrow', {
          type: 'git',
          url: `${world().server.url}/organization`,
          username: USERNAME,
          token: new SecretValue(SECRET),
        });
        const url = `${world().server.url}/organization/%2e%2e/one.git`;
        return {
          token: world().gateway.token([
            world().repository('one', { url, credential_id: 'narrow' }),
          ]),
          name: 'one',
        };
      },
      /is for another place/,
    ],
    [
      'with a credential of another kind',
      () => {
        world().gateway.secrets.set('bearer', {
          type: 'static_bearer',
          mcp_server_url: 'https://mcp.example',
          token: new SecretValue(SECRET),
        });
        return {
          token: world().gateway.token([world().repository('one', { credential_id: 'bearer' })]),
          name: 'one',
        };
      },
      /credential bearer of vault vault is of type static_bearer, and not of type git/,
    ],
    [
      'after its hand was released',
      () => {
        world().gateway.checkHeld = () => {
          throw new Refusal({ status: 403, reason: 'not-held', words: 'the hand was released' });
        };
        return { token: world().gateway.token([world().repository('one')]), name: 'one' };
      },
      /the hand was released/,
    ],
  ])('%s → refused in words, and the server is not asked', async (_what, given, words) => {
    const { token, name } = given();
    const before = world().server.requests.length;
    const { code, said } = await ask(token, name);
    expect(said).toMatch(words);
    expect(said).toMatch(/remote: 403 /);
    expect(code).toBe(128);
    expect(world().server.requests.length).toBe(before);
  });

  test('without a token → refused, and no password is asked for', async () => {
    const hand = world().client(world().gateway.token([]));
    const { said } = await hand.git(
      '-c',
      `http.extraHeader=`,
      'ls-remote',
      `${world().gateway.url}/git/x.git`,
    );
    expect(said).toMatch(/repository x is none of this hand's/);
    const { code } = await world().client('nonsense').git('ls-remote', `${REMOTE_ROOT}x.git`);
    expect(code).toBe(128);
  });

  test('released between asking and pushing → git prints why', async () => {
    const hand = await world().cloned();
    await hand.commit('third');
    let asked = 0;
    world().gateway.checkHeld = () => {
      asked += 1;
      if (asked === 1) return;
      throw new Refusal({ status: 403, reason: 'not-held', words: 'the hand was released' });
    };
    const { said } = await hand.git('push', 'origin', 'main');
    expect(said).toMatch(/remote: drover: the hand was released/);
    asked = 0;
    expect((await hand.git('fetch', '--refetch')).said).toMatch(
      /remote error: drover: the hand was released/,
    );
    expect(hand.head()).toBe(hand.ids.at(-1));
  });

  test('a private address that the operator has not opened → refused', async () => {
    const strict = await startGitGateway({ privateNetworks: [] });
    onTestFinished(() => strict.close());
    strict.secrets.set('git', world().gateway.secrets.get('git') as never);
    const { said } = await ask(strict.token([world().repository('one')]), 'one', strict);
    expect(said).toMatch(/403 host 127\.0\.0\.1 leads to no public address/);
  });

  test.each([
    'HEAD',
    'objects/info/packs',
    'info/refs',
    'info/lfs/objects/batch',
    '../one.git/HEAD',
  ])('path %s → not there', async (path) => {
    const token = world().gateway.token([world().repository('one')]);
    const answer = await fetch(`${world().gateway.url}/git/one.git/${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(await answer.text()).toMatch(/passed on|no repository|must be/);
  });
});

describe('a server that', () => {
  const forms = () => [SECRET, Buffer.from(`${USERNAME}:${SECRET}`).toString('base64')];

  test.each<[string, number, RegExp]>([
    ['takes no such credential', 401, /does not take the credential of this repository \(401\)/],
    ['forbids it', 403, /forbids this/],
    ['has no such repository', 404, /has no such repository, or not for the credential/],
    ['fails', 500, /127\.0\.0\.1 failed \(500\)/],
    ['sends elsewhere', 302, /redirects are not followed/],
    ['says something else', 200, /not as a Git server does/],
  ])('%s → in words, with nothing of what it said', async (_what, status, words) => {
    const hand = await world().cloned();
    const other = await startGitServer({ username: 'x', secret: 'y' });
    onTestFinished(() => other.close());
    world().server.intercept = ({ headers }, response) => {
      const echo = `${headers.authorization} ${SECRET}`;
      response
        .writeHead(status, {
          'Content-Type': 'text/plain',
          'Set-Cookie': `token=${encodeURIComponent(echo)}`,
          'WWW-Authenticate': `Basic realm="${echo}"`,
          'X-Echo': echo,
          Location: `${other.url}/${encodeURIComponent(echo)}/info/refs`,
        })
        .end(echo);
      return true;
    };
    for (const words_ of [['fetch'], ['push', 'origin', 'main']]) {
      const { code, said } = await hand.git(...words_);
      expect(said).toMatch(words);
      expect(code).not.toBe(0);
      for (const form of forms()) expect(said).not.toContain(form);
    }
    const token = world().gateway.token([world().repository(hand.name)]);
    const answer = await fetch(
      `${world().gateway.url}/git/${hand.name}.git/info/refs?service=git-upload-pack`,
      { headers: { authorization: `Bearer ${token}` } },
    );
    const whole = JSON.stringify([...answer.headers]) + (await answer.text());
    for (const form of forms()) expect(whole).not.toContain(form);
    expect(whole).not.toMatch(/set-cookie|www-authenticate|x-echo|location/i);
    expect(other.requests).toEqual([]);
  });

  test('says the credential in Git’s own words → it is blacked out', async () => {
    const hand = await world().cloned();
    const hook = join(world().server.root, `${hand.name}.git`, 'hooks', 'pre-receive');
    const lines = forms().map((form) => `echo "mine is ${form}, yours?" >&2`);
    writeFileSync(hook, ['#!/bin/sh', ...lines, 'exit 1'].join('\n'), { mode: 0o755 });
    await hand.commit('third');
    const { code, said } = await hand.git('push', 'origin', 'main');
    expect(said).toMatch(/remote: mine is \*+, yours\?/);
    for (const form of forms()) expect(said).not.toContain(form);
    expect(code).toBe(1);
  });

  test('goes away in the middle → the client fails, and does not hang', async () => {
    const hand = await world().cloned();
    await hand.commit('third');
    world().server.intercept = ({ url = '', socket }) => {
      if (!url.endsWith('receive-pack') || url.includes('?')) return false;
      socket.destroy();
      return true;
    };
    const { code, said } = await hand.git('push', 'origin', 'main');
    expect(said).toMatch(/remote: drover: 127\.0\.0\.1 gave no answer/);
    expect(code).toBe(1);
  });

  test('is silent, and its client goes → let go at once', async () => {
    const held = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    world().server.intercept = ({ socket }) => {
      socket.once('close', () => held.resolve());
      asked.resolve();
      return true;
    };
    const client = new AbortController();
    const token = world().gateway.token([world().repository('one')]);
    const answer = fetch(`${world().gateway.url}/git/one.git/info/refs?service=git-upload-pack`, {
      headers: { authorization: `Bearer ${token}` },
      signal: client.signal,
    });
    await asked.promise;
    client.abort();
    await expect(answer).rejects.toThrow('aborted');
    await held.promise;
  }, 10_000);

  test('is silent → given up in time', async () => {
    const hasty = await startGitGateway({ idleMs: 300 });
    onTestFinished(() => hasty.close());
    hasty.secrets.set('git', world().gateway.secrets.get('git') as never);
    world().server.intercept = () => true;
    const { said } = await world()
      .client(hasty.token([world().repository('one')]), hasty)
      .git('ls-remote', `${REMOTE_ROOT}one.git`);
    expect(said).toMatch(/gave no answer|Empty reply/);
  });
});

describe('a server of TLS', () => {
  async function startTls() {
    const { server } = world();
    const upstream = await startUpstream({
      names: 'IP:127.0.0.1',
      answer: (request, response) =>
        void answerByGit(request, response, { root: server.root, user: USERNAME }),
    });
    onTestFinished(() => upstream.close());
    server.addRepository('by-tls');
    const url = `https://127.0.0.1:${upstream.tlsPort}`;
    const credential = world().gateway.secrets.get('git') as CredentialSecret;
    return { upstream, url, credential: { ...credential, url } as CredentialSecret };
  }

  test('that is trusted → cloned', async () => {
    const { upstream, url, credential } = await startTls();
    const trusting = await startGitGateway({ trusted: [readFileSync(upstream.caPath, 'utf8')] });
    onTestFinished(() => trusting.close());
    trusting.secrets.set('git', credential);
    const repository = world().repository('by-tls', { url: `${url}/by-tls.git` });
    const hand = world().client(trusting.token([repository]), trusting);
    await hand.done('clone', '--quiet', `${REMOTE_ROOT}by-tls.git`, '.');
    expect(readFileSync(join(hand.folder, 'file.txt'), 'utf8')).toBe('second\n');
    const sent = `Basic ${Buffer.from(`${USERNAME}:${SECRET}`).toString('base64')}`;
    expect(upstream.requests[0]?.headers.authorization).toBe(sent);
  });

  test('that is not → refused in words, and nothing was sent', async () => {
    const { upstream, url, credential } = await startTls();
    world().gateway.secrets.set('git', credential);
    const repository = world().repository('by-tls', { url: `${url}/by-tls.git` });
    const hand = world().client(world().gateway.token([repository]));
    const { said } = await hand.git('ls-remote', `${REMOTE_ROOT}by-tls.git`);
    expect(said).toMatch(/does not prove by TLS that it is that host/);
    expect(upstream.requests).toEqual([]);
  });

  test('no TLS, and no network of the operator’s own → the credential is not sent', async () => {
    const { server } = world();
    const before = server.requests.length;
    let asked = 0;
    const privateNetworks = new BlockList();
    // As if the address were public: it may be dialled, and is not the operator's.
    privateNetworks.check = () => {
      asked += 1;
      return asked === 1;
    };
    const plain = createGitServer({
      url: new URL(`${server.url}/one.git`),
      username: USERNAME,
      secret: SECRET,
      idleMs: 5_000,
      dialling: { resolve: async () => [], privateNetworks, trusted: [], connectMs: 5_000 },
    });
    await expect(plain.ask({ service: 'git-upload-pack', step: 'advertise' })).rejects.toThrow(
      'the credential would go to 127.0.0.1 unencrypted; name the repository by https://',
    );
    expect(server.requests.length).toBe(before);
  });
});
