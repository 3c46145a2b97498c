import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { baoOf, findBao } from '../support/bao.ts';
import { type BaoProxy, type Interference, startBaoProxy } from '../support/bao-proxy.ts';
import { waitFor } from '../support/wait-for.ts';
import { keepCredentials } from './world/credentials.ts';
import { sessionInput } from './world/hand-scripts.ts';
import { keepInBao } from './world/keep-in-bao.ts';
import { startVaultWorld, type VaultWorld } from './world/vault-world.ts';

// A session outlives whatever happens to its vault and to the token endpoint: each call that cannot be
// made says why, nothing goes out without its credential, and when all is well again so is the session.
// What the vault itself does is shown in `kv-faults` and, with two processes that refresh at once, in
// `kv-records` and `vault-refresh`.

const SESSION = 'session-with-faults';
const found = findBao();
const withBao = test.skipIf(found === undefined);

let proxy: BaoProxy;
let world: VaultWorld;

beforeAll(async () => {
  if (found === undefined) return;
  proxy = await startBaoProxy(found.address);
  world = await startVaultWorld({
    vault: async (token) => ({
      ...(await keepInBao(found, token)),
      VAULT_ADDR: proxy.address,
    }),
  });
  await keepCredentials(world);
  await world.start(SESSION, sessionInput(world, '$ true', { hasRepository: false }));
  await world.untilIdle(SESSION);
}, 240_000);

afterAll(async () => {
  await world?.close();
  await proxy?.close();
}, 60_000);

beforeEach(() => {
  if (proxy !== undefined) proxy.interfere = () => undefined;
});

const api = () =>
  world.run(
    SESSION,
    `curl -sS -i -H "Authorization: Bearer $API_KEY" https://api.test:${world.api.tlsPort}/check 2>&1`,
  );

const FAULTS: readonly [what: string, interference: Interference, words: RegExp][] = [
  [
    'sealed',
    { type: 'answer', status: 503, body: '{"errors":["Vault is sealed"]}' },
    /503.*sealed/,
  ],
  ['down', { type: 'cut' }, /50[234].*(vault|credential)/],
  ['silent', { type: 'hang' }, /503.*does not answer/],
];

withBao.each(FAULTS)(
  'the vault is %s → said to whoever needs it, and then all is well again',
  async (_, interference, words) => {
    const keyed = () => world.api.keyed.get('/check') ?? 0;
    await waitFor('the API to answer', async () => (await api()).includes('welcome'), 60_000);
    proxy.interfere = () => interference;
    // What was read is believed for some seconds.
    const said = await waitFor(
      'the vault to be missed',
      async () => {
        const before = keyed();
        const answer = await api();
        return keyed() === before && answer;
      },
      60_000,
    );
    expect(said).toMatch(words);
    expect(await world.call(SESSION, 'mcp__bearer__echo')).toMatch(
      /vault|sealed|not sent|Nothing ran/i,
    );
    proxy.interfere = () => undefined;
    await waitFor('the API to answer again', async () => (await api()).includes('welcome'), 60_000);
    const isKnown = async () =>
      (await world.call(SESSION, 'mcp__bearer__echo')).includes('You are known');
    await waitFor('the MCP server to answer again', isKnown, 60_000);
  },
  240_000,
);

withBao(
  'an access token ends in the middle, and its endpoint fails at first → refreshed, nobody notices',
  async () => {
    const { expired, tokens } = world;
    expect(await world.call(SESSION, 'mcp__oauth__echo')).toContain('You are known');
    const before = tokens.accessToken;
    expired.add(before);
    tokens.troubles.push({ type: 'status', status: 500, body: `for ${tokens.refreshToken}` });
    const said = await world.call(SESSION, 'mcp__oauth__echo');
    expect(said).toContain('You are known');
    expect(tokens.accessToken).not.toBe(before);
    expect(tokens.reuses).toBe(0);
  },
  120_000,
);

withBao(
  'a refresh that is refused for good → said whom to ask, and the session goes on',
  async () => {
    const { expired, tokens } = world;
    expired.add(tokens.accessToken);
    const body = JSON.stringify({ error: 'invalid_grant', error_description: tokens.refreshToken });
    for (let times = 0; times < 10; times += 1) {
      tokens.troubles.push({ type: 'status', status: 400, body });
    }
    const said = await world.call(SESSION, 'mcp__oauth__echo');
    expect(said).toContain('Authorize again');
    expect(said).not.toContain(world.canaries.mark);
    expect(await api()).toContain('welcome');
  },
  120_000,
);

test('a server for these tests is there in CI', () => {
  if (process.env['CI'] === 'true') expect(baoOf(found).address).toMatch(/^http/);
});
