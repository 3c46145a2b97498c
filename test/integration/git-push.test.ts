import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { packetLine } from '../../egress/git-packet-line.ts';
import { type GitClient, NOTHING, SECRET, useGitWorld } from '../support/git-world.ts';

const world = useGitWorld();

describe('what may be pushed', () => {
  const rejected = (ref: string, why: RegExp | string) =>
    new RegExp(
      `remote: drover: [^]*! \\[remote rejected\\] ${ref} \\(${why instanceof RegExp ? why.source : why}`,
    );

  test('another branch, a tag, a deletion, another ref → refused in words, and nothing of it is done', async () => {
    const hand = await world().cloned();
    await hand.commit('third');
    for (const [words, expected] of [
      [['main:feature'], rejected('main -> feature', /this session may not push branch feature/)],
      [['main:refs/tags/v1'], rejected('main -> v1', /this session may not push tag v1/)],
      [[':main'], rejected('main', /this session may not delete a branch/)],
      [['main:refs/notes/x'], rejected('main -> refs/notes/x', /only branches and tags/)],
      [['main:main', 'main:feature'], rejected('main -> main', /refused with the others/)],
      [['--atomic', 'main:main', 'main:feature'], /atomic push failed|may not push branch feature/],
    ] as const) {
      const { code, said } = await hand.git('push', 'origin', ...words);
      expect(said).toMatch(expected);
      expect(code).toBe(1);
    }
    expect(world().server.git(hand.name, 'for-each-ref', '--format=%(refname) %(objectname)')).toBe(
      `refs/heads/main ${hand.ids.at(-1)}`,
    );
    expect(world().gateway.refusals.at(-1)).toMatchObject({ reason: 'ref-not-allowed' });
  });

  test('nothing named → git is told before it sends anything', async () => {
    const hand = await world().cloned(NOTHING);
    await hand.commit('third');
    const before = world().server.requests.length;
    const { code, said } = await hand.git('push', 'origin', 'main');
    expect(said).toMatch(/remote: 403 this session may not push to repository .*names no branches/);
    expect(code).toBe(128);
    expect(world().server.requests.length).toBe(before);
  });

  test('allowed tags, deletions and force → done', async () => {
    const hand = await world().cloned({ branches: ['*'], tags: ['v*'], force: true, delete: true });
    await hand.commit('third');
    await hand.done('push', '--quiet', 'origin', 'main', 'main:feature', 'main:refs/tags/v1');
    await hand.done('push', '--quiet', '--force', 'origin', 'main~1:main', 'main~1:refs/tags/v1');
    expect(hand.head()).toBe(hand.ids.at(-1));
    expect(hand.head('v1')).toBe(hand.ids.at(-1));
    await hand.done('push', '--quiet', 'origin', ':feature', ':refs/tags/v1');
    expect(world().server.git(hand.name, 'for-each-ref', '--format=%(refname)')).toBe(
      'refs/heads/main',
    );
  });

  test('an option of the push → refused in words', async () => {
    const hand = await world().cloned();
    world().server.git(hand.name, 'config', 'receive.advertisePushOptions', 'true');
    await hand.commit('third');
    const { said } = await hand.git('push', '--push-option=x', 'origin', 'main');
    expect(said).toMatch(
      /! \[remote rejected\] main -> main \(options of a push .* not passed on\)/,
    );
    expect(hand.head()).toBe(hand.ids.at(-1));
  });
});

describe('a branch moves forward, without force', () => {
  const NOT_FORWARD = /remote rejected.*non-fast-forward.*may not force/;

  test('to a commit that is new → done', async () => {
    const hand = await world().cloned();
    for (const message of ['third', 'fourth', 'fifth']) await hand.commit(message);
    await hand.done('push', '--quiet', 'origin', 'main');
    expect(hand.head()).toBe(await hand.done('rev-parse', 'HEAD'));
  });

  test('to a merge of it → done', async () => {
    const hand = await world().cloned();
    await hand.done('checkout', '--quiet', '-b', 'side', 'HEAD~1');
    await hand.done('commit', '--quiet', '--allow-empty', '--message', 'aside');
    await hand.done('merge', '--quiet', '--no-edit', 'main');
    await hand.done('push', '--quiet', 'origin', 'side:main');
    expect(hand.head()).toBe(await hand.done('rev-parse', 'side'));
  });

  test('to what another branch has already, so that nothing is sent → done', async () => {
    const hand = await world().cloned();
    for (const message of ['third', 'fourth']) await hand.commit(message);
    await hand.done('push', '--quiet', 'origin', 'main:drover/first');
    await hand.done('push', '--quiet', 'origin', 'main');
    expect(hand.head()).toBe(await hand.done('rev-parse', 'HEAD'));
  });

  test('to a commit upon what another branch has → done', async () => {
    const hand = await world().cloned();
    await hand.commit('third');
    await hand.done('push', '--quiet', 'origin', 'main:drover/first');
    await hand.commit('fourth');
    await hand.done('push', '--quiet', 'origin', 'main');
    expect(hand.head()).toBe(await hand.done('rev-parse', 'HEAD'));
  });

  test.each<[string, (hand: GitClient) => Promise<unknown>]>([
    ['back to an earlier commit', (hand) => hand.done('reset', '--quiet', '--hard', 'HEAD~1')],
    [
      'to another one in its place',
      (hand) => hand.done('commit', '--quiet', '--amend', '--message', 'changed'),
    ],
    [
      'to a history of its own',
      async (hand) => {
        await hand.done('checkout', '--quiet', '--orphan', 'orphan');
        await hand.done('commit', '--quiet', '--message', 'alone');
      },
    ],
    [
      'to a branch that left it earlier, and is on the server',
      async (hand) => {
        await hand.done('reset', '--quiet', '--hard', 'HEAD~1');
        await hand.commit('aside');
        await hand.done('push', '--quiet', 'origin', 'HEAD:drover/aside');
      },
    ],
  ])('%s, by force → refused, and nothing is done', async (_what, change) => {
    const hand = await world().cloned();
    await change(hand);
    const { code, said } = await hand.git('push', '--force', 'origin', 'HEAD:main');
    expect(said).toMatch(NOT_FORWARD);
    expect(code).toBe(1);
    expect(hand.head()).toBe(hand.ids.at(-1));
    expect(world().server.git(hand.name, 'count-objects')).not.toMatch(/^0 /);
  });

  test('a server that tells no history → refused, and why', async () => {
    const hand = await world().cloned();
    await hand.commit('third');
    await hand.done('push', '--quiet', 'origin', 'main:drover/first');
    world().server.intercept = ({ headers, url = '' }, response) => {
      const isHistory = url.includes('upload-pack') && headers['user-agent']?.includes('drover');
      if (isHistory) response.writeHead(500).end(SECRET);
      return isHistory === true;
    };
    const { said } = await hand.git('push', 'origin', 'main');
    expect(said).toMatch(/the server does not show whether it leads on .* may not force/);
    expect(hand.head()).toBe(hand.ids.at(-1));
  });

  test('two branches, one of them back → neither', async () => {
    const hand = await world().cloned();
    await hand.commit('third');
    await hand.done('push', '--quiet', 'origin', 'main:drover/a', 'main:drover/b');
    const before = hand.head('drover/a');
    await hand.commit('fourth');
    const { said } = await hand.git(
      'push',
      '--force',
      'origin',
      'main:drover/a',
      'main~2:drover/b',
    );
    expect(said).toMatch(/main~2 -> drover\/b \(.*non-fast-forward/);
    expect([hand.head('drover/a'), hand.head('drover/b')]).toEqual([before, before]);
  });
});

describe('a request that no git would send', () => {
  const CAPABILITIES = 'report-status side-band-64k object-format=sha1';

  /** The pack of everything on `main`, and a request that moves `main` back with it. */
  async function prepare() {
    const hand = await world().cloned();
    const [first = '', last = ''] = hand.ids;
    const empty = packOf();
    const command = (ref = 'refs/heads/main', more = CAPABILITIES) =>
      packetLine(`${last} ${first} ${ref}\0${more}`);
    return { hand, first, last, empty, command };
  }

  function packOf(): Buffer {
    const head = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
    return Buffer.concat([head, createHash('sha1').update(head).digest()]);
  }

  async function send(token: string, name: string, body: Buffer, headers: object = {}) {
    const answer = await fetch(`${world().gateway.url}/git/${name}.git/git-receive-pack`, {
      method: 'POST',
      body: new Uint8Array(body),
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/x-git-receive-pack-request',
        ...headers,
      },
    });
    return { status: answer.status, text: await answer.text() };
  }

  const FLUSHED = Buffer.from('0000');

  test('it would go on as it is, if force were allowed', async () => {
    const { hand, first, command, empty } = await prepare();
    const push = { ...NOTHING, branches: ['main'], force: true };
    const token = world().gateway.token([world().repository(hand.name, { push })]);
    const body = Buffer.concat([command(), FLUSHED, empty]);
    expect((await send(token, hand.name, body)).text).toMatch(/ok refs\/heads\/main/);
    expect(hand.head()).toBe(first);
  });

  test.each<[string, (parts: Awaited<ReturnType<typeof prepare>>) => Buffer, RegExp]>([
    [
      'as it is',
      ({ command, empty }) => Buffer.concat([command(), FLUSHED, empty]),
      /non-fast-forward/,
    ],
    [
      'with more behind the end of the pack, which is held back',
      ({ command, empty }) => Buffer.concat([command(), FLUSHED, empty, Buffer.alloc(4_000, 'x')]),
      /more comes than its objects/,
    ],
    [
      'with a second pack behind it',
      ({ command, empty }) => Buffer.concat([command(), FLUSHED, empty, empty]),
      /more comes than its objects/,
    ],
    [
      'without a pack',
      ({ command }) => Buffer.concat([command(), FLUSHED]),
      /cannot be seen whether it moves forward/,
    ],
    [
      'with another command behind the list',
      ({ command, empty, first }) =>
        Buffer.concat([
          packetLine(`${'0'.repeat(40)} ${first} refs/heads/drover/x\0${CAPABILITIES}`),
          FLUSHED,
          command(),
          FLUSHED,
          empty,
        ]),
      /unpack|error|bad|ng /,
    ],
    [
      'as a signed push',
      ({ empty, first, last }) =>
        Buffer.concat([
          packetLine(`push-cert\0${CAPABILITIES}`),
          packetLine('certificate version 0.1\n'),
          packetLine('\n'),
          packetLine(`${last} ${first} refs/heads/main\n`),
          packetLine('push-cert-end\n'),
          FLUSHED,
          empty,
        ]),
      /signed pushes are not passed on/,
    ],
    [
      'with a second ref behind a NUL',
      ({ command, empty }) =>
        Buffer.concat([
          command('refs/heads/main', `${CAPABILITIES}\0refs/heads/x`),
          FLUSHED,
          empty,
        ]),
      /non-fast-forward/,
    ],
  ])('%s → refused, and nothing is done', async (_what, build, words) => {
    const parts = await prepare();
    const { hand, last } = parts;
    const { text } = await send(hand.token, hand.name, build(parts));
    expect(text).toMatch(words);
    expect(hand.head()).toBe(last);
  });

  test('packed by gzip, and by gzip that is none → read all the same', async () => {
    const { hand, last, command, empty } = await prepare();
    const body = Buffer.concat([command(), FLUSHED, empty]);
    const headers = { 'content-encoding': 'gzip' };
    expect((await send(hand.token, hand.name, gzipSync(body), headers)).text).toMatch(
      /non-fast-forward/,
    );
    const spoilt = await send(hand.token, hand.name, body, headers);
    expect(spoilt.status).toBeGreaterThanOrEqual(400);
    const other = await send(hand.token, hand.name, body, { 'content-encoding': 'br' });
    expect(other).toMatchObject({ status: 415 });
    expect(hand.head()).toBe(last);
  });

  test('says what the server has not → the server itself refuses', async () => {
    const { hand, first, last, empty } = await prepare();
    // As if `main` were at the first commit already, whose successor is to come: forward, by its words.
    const command = packetLine(`${first} ${last} refs/heads/main\0${CAPABILITIES}`);
    world().server.git(hand.name, 'update-ref', 'refs/heads/drover/other', last);
    const body = Buffer.concat([command, FLUSHED, empty]);
    expect((await send(hand.token, hand.name, body)).text).toMatch(/ng refs\/heads\/main/);
    expect(hand.head()).toBe(last);
  });

  test('waits to be told to go on (Expect: 100-continue) → it is', async () => {
    const { hand, last, command, empty } = await prepare();
    const body = Buffer.concat([command(), FLUSHED, empty]);
    const request = httpRequest(`${world().gateway.url}/git/${hand.name}.git/git-receive-pack`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${hand.token}`,
        expect: '100-continue',
        'content-length': body.length,
      },
    });
    request.flushHeaders();
    await once(request, 'continue');
    request.end(body);
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    expect(await text(answer)).toMatch(/non-fast-forward/);
    expect(hand.head()).toBe(last);
  });
});
