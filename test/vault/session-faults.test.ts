import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { kvVariables, writePolicy } from '../support/bao.ts';
import { makeAppRole } from '../support/bao-logins.ts';
import { findBaoBinary, type OwnBao, startOwnBao } from '../support/own-bao.ts';
import { waitFor } from '../support/wait-for.ts';
import { keepCredentials } from './world/credentials.ts';
import { sessionInput } from './world/hand-scripts.ts';
import { startVaultWorld, type VaultWorld } from './world/vault-world.ts';

// A session outlives whatever happens to its vault and to the token endpoint: each call that cannot be
// made says why, nothing goes out without its credential, and when all is well again so is the session.
// The vault is a server of this file's own. What it does itself is shown in `kv-faults` and, with two
// processes that refresh at once, in `kv-records` and `vault-refresh`.

const SESSION = 'session-with-faults';
/** Of the worker's login, so that leases end while the tests last. */
const LEASE_S = 8;
const binary = findBaoBinary();
const withBao = test.skipIf(binary === undefined);

let bao: OwnBao;
let world: VaultWorld;

beforeAll(async () => {
  if (binary === undefined) return;
  bao = await startOwnBao(binary);
  world = await startVaultWorld({ vault: logIn });
  await keepCredentials(world);
  await world.start(SESSION, inputOf('$ true'));
  await world.untilIdle(SESSION);
}, 240_000);

afterAll(async () => {
  await world?.close();
  await bao?.close();
}, 60_000);

/** What a test that failed left must not fail the next one. */
afterEach(async () => {
  bao?.goOn();
  await bao?.unseal();
});

/** A vault that the worker logs in to; commands show a token of their own. */
async function logIn(): Promise<Readonly<Record<string, string>>> {
  const { VAULT_TOKEN: _, ...place } = kvVariables(bao);
  const policy = await writePolicy(bao, place);
  const times = { token_ttl: `${LEASE_S}s`, token_max_ttl: '1h' };
  return { ...place, ...(await makeAppRole(bao, policy, times)) };
}

const inputOf = (script: string) => sessionInput(world, script, { hasRepository: false });

const useKey = () =>
  `curl -sS -i -H "Authorization: Bearer $API_KEY" https://api.test:${world.api.tlsPort}/check 2>&1`;
const api = () => world.run(SESSION, useKey());
const bearer = () => world.call(SESSION, 'mcp__bearer__echo');
const keyed = () => world.api.keyed.get('/check') ?? 0;

/** What a command is told that cannot have the key. What was read is believed for some seconds. */
function missed(): Promise<string> {
  return waitFor(
    'the vault to be missed',
    async () => {
      const before = keyed();
      const answer = await api();
      return keyed() === before && answer;
    },
    60_000,
  );
}

async function allIsWell(): Promise<void> {
  await waitFor('the API to answer', async () => (await api()).includes('welcome'), 60_000);
  const isKnown = async () => (await bearer()).includes('You are known');
  await waitFor('the MCP server to answer', isKnown, 60_000);
}

interface Fault {
  begin(): Promise<void> | void;
  end(): Promise<void> | void;
  readonly words: RegExp;
}

const FAULTS: readonly [what: string, fault: () => Fault][] = [
  ['sealed', () => ({ begin: bao.seal, end: bao.unseal, words: /503.*is sealed: unseal it/ })],
  [
    'ended, and starts sealed',
    () => ({
      begin: bao.kill,
      async end() {
        await bao.start();
        expect(await missed()).toMatch(/503.*is sealed: unseal it/);
        await bao.unseal();
      },
      words: /503.*cannot be reached/,
    }),
  ],
  ['silent', () => ({ begin: bao.pause, end: bao.goOn, words: /503.*does not answer/ })],
];

withBao.each(FAULTS)(
  'the vault is %s between two uses → said to whoever needs it, and then all is well again',
  async (_, fault) => {
    const { begin, end, words } = fault();
    await allIsWell();
    await begin();
    expect(await missed()).toMatch(words);
    expect(await bearer()).toMatch(/vault|sealed|not sent|Nothing ran/i);
    await end();
    await allIsWell();
  },
  240_000,
);

withBao(
  'the vault is sealed when a session first needs it → it waits, and goes on once it is unsealed',
  async () => {
    await bao.seal();
    // What was read before is believed for some seconds, by the gateway and by the vault worker.
    await missed();
    await waitFor('MCP to miss it', async () => /sealed/i.test(await bearer()), 60_000);
    const id = 'session-of-a-sealed-vault';
    // Without MCP servers, which a session asks for two minutes before it goes on without them.
    await world.start(id, { ...inputOf(`$ ${useKey()}`), agent: undefined });
    const isTold = async (): Promise<boolean> => {
      const { raw } = await world.client.workflow.getHandle(id).describe();
      const grant = raw.pendingActivities?.find(
        ({ activityType }) => activityType?.name === 'grant',
      );
      return /is sealed: unseal it/.test(grant?.lastFailure?.message ?? '');
    };
    await waitFor('whoever looks at the session to be told', isTold, 60_000);
    await bao.unseal();
    await world.untilIdle(id);
    expect((await world.results(id)).join('\n')).toContain('welcome');
  },
  240_000,
);

withBao(
  'the vault is sealed as an access token ends → no refresh token is spent, and no token lost',
  async () => {
    const { expired, tokens } = world;
    const oauth = () => world.call(SESSION, 'mcp__oauth__echo');
    expect(await oauth()).toContain('You are known');
    await bao.seal();
    await missed();
    const { refreshToken, requests } = tokens;
    const asked = requests.length;
    expired.add(tokens.accessToken);
    expect(await oauth()).toMatch(/sealed/);
    expect(tokens).toMatchObject({ refreshToken, reuses: 0 });
    expect(requests).toHaveLength(asked);
    await bao.unseal();
    await waitFor('the token', async () => (await oauth()).includes('You are known'), 60_000);
    expect(requests).toHaveLength(asked + 1);
    expect(tokens.reuses).toBe(0);
  },
  240_000,
);

withBao(
  'the worker’s own token is revoked, and its lease ends while the vault is sealed → nobody notices',
  async () => {
    await allIsWell();
    await bao.ask('PUT', 'sys/leases/revoke-prefix/auth/approle/login', { sync: true });
    const before = keyed();
    for (let call = 0; call < 3; call += 1) expect(await api()).toContain('welcome');
    expect(keyed()).toBe(before + 3);
    const leases = 'sys/leases/lookup/auth/approle/login?list=true';
    const held = async (): Promise<readonly unknown[]> =>
      bao.ask('GET', leases).then(
        ({ data }) => data?.['keys'] as readonly unknown[],
        () => [],
      );
    const [lease] = await waitFor('the new lease', async () => {
      const found = await held();
      return found.length > 0 && found;
    });
    await bao.seal();
    await delay(LEASE_S * 1_000);
    await bao.unseal();
    await waitFor('the lease to be ended', async () => !(await held()).includes(lease), 60_000);
    await allIsWell();
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
