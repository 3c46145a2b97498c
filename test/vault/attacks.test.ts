import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { keepCredentials } from './world/credentials.ts';
import { sessionInput } from './world/hand-scripts.ts';
import { startVaultWorld, type VaultWorld } from './world/vault-world.ts';

// What a sandbox that was told to do its worst reaches for, by the programs that it has. Each attempt
// is refused in words, and nothing of it arrives.

const SESSION = 'session-attacks';
const VICTIM = 'session-victim';
/** As a proxy, whatever the programs think of where to use one. */
const CURL = 'curl -sS -i -m 20 --noproxy ""';

let world: VaultWorld;

beforeAll(async () => {
  world = await startVaultWorld({
    async vault(_token, folder) {
      mkdirSync(join(folder, 'vault'));
      return { DROVER_VAULT: pathToFileURL(join(folder, 'vault')).href };
    },
  });
  await keepCredentials(world);
  for (const name of ['work', 'other']) world.git.addRepository(name);
  const moving = `moving.test:${world.api.plainPort}`;
  const hosts = ['metadata.test', 'kubernetes.test', moving];
  await Promise.all(
    [SESSION, VICTIM].map((id) => world.start(id, sessionInput(world, `$ true`, { hosts }))),
  );
  await Promise.all([SESSION, VICTIM].map((id) => world.untilIdle(id)));
}, 240_000);

afterAll(async () => {
  await world?.close();
}, 60_000);

const run = (command: string) => world.run(SESSION, command);

test('what it is allowed works', async () => {
  const { api, git } = world;
  const said = await run(`
    ${CURL} -H "Authorization: Bearer $API_KEY" https://api.test:${api.tlsPort}/check
    cd work && git push origin HEAD:refs/heads/drover/fine 2>&1 && git pull origin main`);
  expect(said).toContain('welcome');
  expect(git.git('work', 'branch', '--list', 'drover/fine')).toContain('drover/fine');
}, 120_000);

test.each<[string, () => string, RegExp]>([
  ['the metadata address', () => 'http://169.254.169.254/latest/meta-data/', /403.*169\.254/],
  [
    'a name of the metadata address',
    () => 'http://metadata.test/latest/',
    /403.*no public address/,
  ],
  ['the vault’s server', () => 'http://127.0.0.1:8200/v1/sys/health', /403.*127\.0\.0\.1/],
  ['the Temporal server', () => `http://${world.temporal.address}/`, /403.*127\.0\.0\.1/],
  ['the API of Kubernetes', () => 'https://kubernetes.default.svc/api', /403.*kubernetes\.default/],
  ['a name of a cluster’s address', () => 'https://kubernetes.test/', /403.*no public address/],
  [
    'a host that is not allowed',
    () => `https://forbidden.test:${world.api.tlsPort}/`,
    /403.*forbidden\.test/,
  ],
  ['another port of a host', () => 'https://api.test:22/', /403.*port 22/],
  ['an address in another spelling', () => 'http://0x7f.1/', /403/],
  ['this machine by version 6', () => `http://[::ffff:127.0.0.1]:${world.api.plainPort}/`, /403/],
])(
  '%s → refused by the gateway, in words',
  async (_, url, words) => {
    const said = await run(`${CURL} -H "Authorization: Bearer $API_KEY" '${url()}' 2>&1`);
    expect(said).toMatch(words);
  },
  120_000,
);

test('servers of this machine, past the gateway → not there', async () => {
  const ports = [8200, Number(world.temporal.address.split(':')[1]), world.api.plainPort];
  const commands = ports.map(
    (port) => `(exec 3<>/dev/tcp/127.0.0.1/${port}) 2>&1 && echo REACHED ${port}`,
  );
  const said = await run(
    [
      ...commands,
      'ls /var/run/secrets/kubernetes.io /run 2>&1',
      'ip address 2>&1',
      'echo over',
    ].join('\n'),
  );
  expect(said).toContain('over');
  expect(said).not.toContain('REACHED');
  expect(said).toMatch(/Connection refused/);
}, 120_000);

test('the vault’s folder, its keys, those of the gateway, another hand → cannot be read', async () => {
  const said = await run(`
    cat ${world.folder}/vault/key ${world.folder}/state/egress/* 2>&1
    find / \\( -name 'access-*.json' -o -name 'authority*' -o -path '*egress*key*' \\) -not -path '/proc/*' 2>/dev/null
    ls ${world.folder}/state/hands ${world.folder}/vault 2>&1; echo over`);
  expect(said).toContain('over');
  expect(said).toMatch(/No such file|Permission denied/);
  expect(said).not.toMatch(/PRIVATE KEY|access-[\da-f-]+\.json/);
}, 120_000);

test('the gateway with another session’s token → refused', async () => {
  const theirs = (await world.run(VICTIM, 'echo $HTTPS_PROXY')).trim();
  expect(theirs).toMatch(/^http:\/\/hand:d1\./);
  const before = world.api.requests.length;
  const said = await run(`
    ${CURL} -x '${theirs}' https://api.test:${world.api.tlsPort}/check 2>&1
    ${CURL} -x '${theirs}' http://api.test:${world.api.plainPort}/check 2>&1
    git -c http.extraHeader="Authorization: Bearer $(echo '${theirs}' | sed 's/.*hand:\\(.*\\)@.*/\\1/')" ls-remote http://localhost:3128/git/work.git 2>&1`);
  expect(said.match(/40[37]/g)?.length).toBeGreaterThanOrEqual(3);
  expect(said).toMatch(/not .*from|another|address/);
  expect(world.api.requests.length).toBe(before);
}, 120_000);

test('a token that it changed, one of its own making, none → refused', async () => {
  const url = `https://api.test:${world.api.tlsPort}/check`;
  const said = await run(`
    T=$(echo $HTTPS_PROXY | sed 's/.*hand:\\(.*\\)@.*/\\1/')
    PAYLOAD=$(echo "$T" | cut -d. -f3 | tr '_-' '/+' | base64 -d 2>/dev/null | sed 's/api.test/forbidden.test/g' | base64 -w0 | tr '/+' '_-' | tr -d '=')
    ${CURL} -x "http://hand:$(echo $T | cut -d. -f1-2).$PAYLOAD.$(echo $T | cut -d. -f4)@localhost:3128" ${url} 2>&1
    ${CURL} -x http://hand:d1.k1.e30.AAAA@localhost:3128 ${url} 2>&1
    ${CURL} -x http://localhost:3128 ${url} 2>&1`);
  expect(said.match(/HTTP\/1\.1 407/g)).toHaveLength(3);
}, 120_000);

test('another repository → refused, and git prints why', async () => {
  const before = world.git.requests.length;
  const said = await run(`
    cd ~; R=$(git -C $OLDPWD remote get-url origin 2>/dev/null || git -C "$PWD/work" remote get-url origin)
    git ls-remote \${R%work.git}other.git 2>&1; git clone \${R%work.git}../other.git nothing 2>&1; cd "$OLDPWD"`);
  expect(said).toMatch(/other/);
  expect(said).toMatch(/fatal|error/);
  expect(said).not.toMatch(/refs\/heads\/main/);
  expect(world.git.requests.length).toBe(before);
}, 120_000);

test('another branch, a deletion, a tag → refused, and git prints why', async () => {
  const heads = () => world.git.git('work', 'for-each-ref');
  const before = heads();
  const said = await run(`
    git -c user.name=a -c user.email=a@b commit --allow-empty -qm more
    git push origin HEAD:main 2>&1; git push origin :drover/fine 2>&1; git push origin HEAD:refs/tags/v1 2>&1
    git -c user.name=a -c user.email=a@b commit --amend --allow-empty -qm back && git reset -q --hard HEAD~1
    git -c user.name=a -c user.email=a@b commit --allow-empty -qm other && git push --force origin HEAD~1:drover/fine 2>&1`);
  expect(said.match(/rejected|denied|may not|refused/g)?.length).toBeGreaterThanOrEqual(3);
  expect(said).toMatch(/main/);
  expect(heads()).toBe(before);
}, 120_000);

test('a redirect to a host that is not allowed → refused there', async () => {
  const { api } = world;
  const to = `https://forbidden.test:${api.tlsPort}/check`;
  const said = await run(
    `${CURL} -L --location-trusted -H "Authorization: Bearer $API_KEY" 'https://api.test:${api.tlsPort}/redirect?to=${to}' 2>&1`,
  );
  expect(said).toMatch(/403.*forbidden\.test/s);
}, 120_000);

test('a name that is made to lead elsewhere (DNS rebinding) → refused', async () => {
  const key = '-H "Authorization: Bearer $API_KEY"';
  const url = `http://moving.test:${world.api.plainPort}/check`;
  expect(await run(`${CURL} ${key} ${url}`)).toContain('who is');
  for (const address of ['169.254.169.254', '10.0.0.1', '192.168.1.1', '0.0.0.0']) {
    world.hosts.set({ 'moving.test': address, 'api.test': address });
    const tls = `https://api.test:${world.api.tlsPort}/check`;
    const both = `${CURL} ${key} ${url} 2>&1; echo ==; ${CURL} ${key} ${tls} 2>&1`;
    // On a busy machine the session may be slow to say that it holds the hand: refused until then.
    const said = await waitFor('the gateway to have asked the session', async () => {
      const answer = await run(both);
      return !answer.includes('cannot be asked') && answer;
    });
    const [plain, encrypted] = said.split('==');
    expect(plain).toMatch(/403.*no public address/);
    expect(encrypted).toMatch(/403.*no public address/);
  }
  world.hosts.set({});
}, 120_000);
