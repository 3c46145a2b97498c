import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { LocalProvider } from '../../activities/hands/local/local-provider.ts';
import { Refusal } from '../../egress/refusal.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { SessionResourceInput } from '../../protocol/resource.ts';
import { SecretValue } from '../../vault/secret-value.ts';
import { type GitGateway, startGitGateway } from '../support/git-gateway.ts';
import { type GitTestServer, startGitServer } from '../support/git-server.ts';
import { IS_ISOLATED, processesMentioning, type TestHand, useLocalHands } from './local-hands.ts';

const USERNAME = 'x-access-token';
const SECRET = 'ghs_canaryForLocalHands0123456789';
const IDENTITY = 'git config --global user.name me; git config --global user.email me@me;';

const hands = useLocalHands();
let server: GitTestServer;
let gateway: GitGateway;

beforeAll(async () => {
  server = await startGitServer({ username: USERNAME, secret: SECRET });
  gateway = await startGitGateway();
  gateway.secrets.set('git', {
    type: 'git',
    url: server.url,
    username: USERNAME,
    token: new SecretValue(SECRET),
  });
});
// Before the folder goes in which it listens.
afterEach(() => gateway.endLocally());
afterAll(async () => {
  await gateway.close();
  await server.close();
});

let count = 0;
function resource(
  more: Partial<SessionResourceInput> = {},
): SessionResourceInput & { name: string } {
  count += 1;
  const name = `local-${count}`;
  server.addRepository(name);
  return {
    name,
    type: 'github_repository',
    url: `${server.url}/${name}.git`,
    credential: { vault_id: 'vault', credential_id: 'git' },
    push: { branches: ['drover/*'] },
    ...more,
  } as SessionResourceInput & { name: string };
}

function without({ name: _name, ...spec }: SessionResourceInput & { name: string }) {
  return spec as SessionResourceInput;
}

/** A worker whose local hands reach the gateway. */
async function worker(): Promise<LocalProvider> {
  await gateway.serveLocally(hands().stateFolder);
  return hands().another({ gateway: gateway.local });
}

describe('a repository with a credential, in a local hand without any other network', () => {
  test('→ cloned, fetched and pushed, and the credential is nowhere in the hand', async () => {
    const wanted = resource();
    const hand = await hands().provision({
      provider: await worker(),
      resources: [without(wanted)],
    });
    expect((await hand.bash(`cat ${wanted.name}/file.txt`)).text).toBe('second');
    const pushed = await hand.bash(
      `${IDENTITY} cd ${wanted.name} && echo third > file.txt && git commit -qam third && ` +
        'git push -q origin HEAD:drover/mine 2>&1 && git pull -q 2>&1 && git fetch 2>&1 && git rev-parse HEAD',
    );
    expect(pushed).toEqual({
      text: server.git(wanted.name, 'rev-parse', 'drover/mine'),
      is_error: false,
    });
    const refused = await hand.bash(
      `cd ~/../workspace/${wanted.name}; git push origin HEAD:main 2>&1`,
    );
    expect(refused.text).toMatch(/remote: drover: .*may not push branch main/);
    expect(refused.text).toMatch(/! \[remote rejected\] HEAD -> main/);
    expect((await hand.bash('curl -sS http://example.com 2>&1')).text).toMatch(/403|not in this/);
    await expectNowhere(hand, SECRET);
  });

  test('a branch or a commit, at a place of its own', async () => {
    const wanted = resource();
    server.git(wanted.name, 'update-ref', 'refs/heads/feature', 'main~1');
    const sha = server.git(wanted.name, 'rev-parse', 'main~1');
    const spec = without(wanted);
    const hand = await hands().provision({
      provider: await worker(),
      resources: [
        { ...spec, checkout: { type: 'branch', name: 'feature' }, mount_path: '/workspace/a/b' },
        { ...spec, checkout: { type: 'commit', sha }, mount_path: '/workspace/c' },
      ] as SessionResourceInput[],
    });
    const { text } = await hand.bash(
      'cat a/b/file.txt c/file.txt; git -C a/b branch --show-current; git -C c rev-parse HEAD; ls -A',
    );
    expect(text).toBe(`first\nfirst\nfeature\n${sha}\na\nc`);
  });

  test('made anew → what was there stays, and what was left in parts is cloned', async () => {
    const [kept, broken] = [resource(), resource()];
    const provider = await worker();
    const resources = [without(kept), without(broken)];
    const hand = await hands().provision({ provider, resources });
    await hand.bash(
      `echo mine > ${kept.name}/mine.txt; mv ${broken.name} .${broken.name}.cloning; rm .${broken.name}.cloning/.git/HEAD`,
    );
    await provider.release({ hand: hand.instance, keep_workspace: true });
    const next = await hands().provision({ provider, resources, generation: 2 });
    expect((await next.bash(`cat ${kept.name}/mine.txt ${broken.name}/file.txt; ls -A`)).text).toBe(
      `mine\nsecond\n${kept.name}\n${broken.name}`,
    );
    // With a token of its own.
    expect((await next.bash(`git -C ${kept.name} fetch 2>&1`)).text).toBe('');
  });

  test('that cannot be cloned → in words, no process stays, and another attempt tries anew', async () => {
    const wanted = resource();
    const provider = await worker();
    gateway.checkHeld = () => {
      throw new Refusal({ status: 403, reason: 'not-held', words: 'session s holds no such hand' });
    };
    onTestFinished(() => {
      gateway.checkHeld = () => {};
    });
    const order = { provider, resources: [without(wanted)] };
    await expect(hands().provision(order)).rejects.toMatchObject({
      type: FAILURE.sandboxSetupFailed,
      nonRetryable: true,
      message: expect.stringMatching(
        new RegExp(
          `Repository http://127.0.0.1:\\d+/${wanted.name}.git could not be cloned: .*session s holds no such hand`,
          's',
        ),
      ),
    });
    expect(processesMentioning(hands().stateFolder)).toEqual([]);
    gateway.checkHeld = () => {};
    const hand = await hands().provision(order);
    expect((await hand.bash(`cat ${wanted.name}/file.txt`)).text).toBe('second');
  });

  test('the gateway goes and comes back → the hand goes on', async () => {
    const wanted = resource();
    const provider = await worker();
    const hand = await hands().provision({ provider, resources: [without(wanted)] });
    const fetch = () => hand.bash(`git -C ${wanted.name} fetch 2>&1; echo $?`);
    const held = gateway;
    gateway = await startGitGateway({ keysOf: held });
    for (const [id, secret] of held.secrets) gateway.secrets.set(id, secret);
    await held.close();
    expect((await fetch()).text).toMatch(/502 the gateway does not answer.*128$/s);
    await gateway.serveLocally(hands().stateFolder);
    expect((await fetch()).text).toBe('0');
  });

  test.skipIf(!IS_ISOLATED)('the token of one hand in another → refused', async () => {
    const wanted = resource();
    const provider = await worker();
    const [hand, other] = [
      await hands().provision({ provider, resources: [without(wanted)] }),
      await hands().provision({ provider, resources: [without(wanted)], session: 'other' }),
    ];
    const { text: header } = await hand.bash('echo $GIT_CONFIG_VALUE_1');
    expect(header).toMatch(/^Authorization: Bearer d1\./);
    const stolen = await other.bash(
      `GIT_CONFIG_VALUE_1='${header}' git -C ${wanted.name} fetch 2>&1; git -C ${wanted.name} fetch && echo on`,
    );
    expect(stolen.text).toMatch(/the token is that of another hand.*on$/s);
  });
});

describe('a repository without a credential', () => {
  test('in a folder of this machine → cloned with no gateway at all', async () => {
    const source = mkdtempSync(join(existsSync('/srv') ? '/srv' : tmpdir(), 'drover-source-'));
    onTestFinished(() => rmSync(source, { recursive: true }));
    const { name } = resource();
    execFileSync('git', [
      'clone',
      '--quiet',
      '--bare',
      join(server.root, `${name}.git`),
      `${source}/r.git`,
    ]);
    const hand = await hands().provision({
      resources: [{ type: 'github_repository', url: `${source}/r.git` }],
    });
    expect((await hand.bash('cat r/file.txt; env | grep -c GIT_CONFIG')).text).toBe('second\n0');
  });

  test('elsewhere, without a network → refused, naming it', async () => {
    const url = 'https://example.com/o/r.git';
    await expect(
      hands().provision({ resources: [{ type: 'github_repository', url }] }),
    ).rejects.toMatchObject({
      type: FAILURE.sandboxUnsupportedConfig,
      nonRetryable: true,
      message: expect.stringContaining(`${url} cannot be cloned without a network`),
    });
  });

  test('at a place that local hands do not have → refused, naming it', async () => {
    const spec = { type: 'github_repository', url: '/srv/r.git', mount_path: '/opt/r' } as const;
    await expect(hands().provision({ resources: [spec] })).rejects.toMatchObject({
      type: FAILURE.sandboxUnsupportedConfig,
      message: expect.stringMatching(/below \/workspace\/ only, and mount_path \/opt\/r/),
    });
  });
});

test('a worker without a gateway → a credential is refused in words', async () => {
  await expect(hands().provision({ resources: [without(resource())] })).rejects.toMatchObject({
    type: FAILURE.sandboxUnsupportedConfig,
    message: expect.stringContaining('no gateway'),
  });
});

/** In no file of the hand, and in nothing that its processes show. */
async function expectNowhere(hand: TestHand, secret: string): Promise<void> {
  const forms = [secret, Buffer.from(`${USERNAME}:${secret}`).toString('base64')];
  const folder = join(hands().stateFolder, 'hands');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  for (const file of files.filter((one) => one.isFile())) {
    const content = readFileSync(join(file.parentPath, file.name));
    for (const form of forms) expect(content.includes(form) ? file.name : '').toBe('');
  }
  const shown = await hand.bash(
    'env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr "\\0" "\\n"',
  );
  for (const form of forms) {
    expect(shown.text).not.toContain(form);
    expect(processesMentioning(form)).toEqual([]);
  }
}
