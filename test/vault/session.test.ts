import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runCommandLine } from '../../client/command-line/run-command-line.ts';
import { calls } from '../../rehearsal/script.ts';
import { baoOf, findBao } from '../support/bao.ts';
import { waitFor } from '../support/wait-for.ts';
import { createCanaries } from './search/canaries.ts';
import { folderPlaces } from './search/folder-places.ts';
import { processesOf, processPlaces } from './search/process-places.ts';
import { type Hit, type Place, searchPlaces, textPlace } from './search/search-places.ts';
import { temporalPlaces } from './search/temporal-places.ts';
import { keepCredentials, keepWrongCredentials } from './world/credentials.ts';
import { hold, keepAnswers, sessionInput, useApi, useGit } from './world/hand-scripts.ts';
import { keepInBao } from './world/keep-in-bao.ts';
import { MCP_TOOLS } from './world/telling-mcp-server.ts';
import { startVaultWorld, type VaultWorld } from './world/vault-world.ts';

// Every credential is a canary. One session uses them all, another has wrong ones, and what they meet
// repeats all that it is told. Then the canaries are looked for wherever anything was kept or shown; a
// word that the first session says is looked for too, and must be found.

const COMMAND_LINE = fileURLToPath(new URL('../../client/command-line/main.ts', import.meta.url));
const SESSION = 'session-with-canaries';
const WRONG = 'session-with-wrong-ones';
const WRONG_GIT = 'session-with-wrong-git';
const FORMATS = [[], ['--output', 'json']];

const planted = createCanaries();
const WORD = planted.make('said');

let world: VaultWorld;
let heldPids: readonly number[];
const hits: Hit[] = [];

const found = findBao();
const withBao = test.skipIf(found === undefined);

beforeAll(async () => {
  if (found === undefined) return;
  world = await startVaultWorld({ vault: (token) => keepInBao(baoOf(found), token) });
  await keepCredentials(world);
  await keepWrongCredentials(world);
  for (const name of ['work', 'other']) world.git.addRepository(name);
  await play();
}, 600_000);

afterAll(async () => {
  await world?.close();
}, 60_000);

async function play(): Promise<void> {
  const { scripts, stateFolder, worker } = world;
  const mcp = ['oauth', 'bearer'].map((server) =>
    MCP_TOOLS.map((tool) => calls(`mcp__${server}__${tool}`, { word: WORD })),
  );
  const [api = [], ...others] = [useApi(world), useGit('work'), keepAnswers(world), hold(WORD)].map(
    (command) => [calls('bash', { command })],
  );
  scripts.set('use', [...mcp, api, ...others]);
  scripts.set('fail', [...mcp, api]);
  await world.start(SESSION, sessionInput(world, 'use'));
  await world.start(WRONG, sessionInput(world, 'fail', { vaultId: 'wrong', hasRepository: false }));
  await world.start(WRONG_GIT, sessionInput(world, 'fail', { vaultId: 'wrong' }));
  for (const [name, value] of Object.entries(world.variables)) vi.stubEnv(name, value);
  const watching = FORMATS.map((format) => commandLine('tail', SESSION, '--until-idle', ...format));
  await waitFor('the held call to beat', isHolding, 400_000);
  heldPids = processesOf(stateFolder).filter((pid) => pid !== worker.pid());
  await search(await Array.fromAsync(temporalPlaces(world.connection)), 'while it ran: ');
  await search(heldPids.flatMap(processPlaces), 'while it ran: ');
  writeFileSync(join(workspaceOf(stateFolder), 'go'), '');
  await Promise.all([SESSION, WRONG, WRONG_GIT].map((id) => world.untilIdle(id)));
  await search(await Array.fromAsync(temporalPlaces(world.connection)));
  await search(folderPlaces(world.folder, ''));
  const shown = await Promise.all([...watching, ...lookAtAll()]);
  await search(shown.map((output, index) => textPlace(`command line ${index}`, output)));
  await search([textPlace('log of the worker', worker.output())]);
  await search(
    world.model.requests.map(({ text: sent }, index) => textPlace(`model ${index}`, sent)),
  );
}

async function search(places: readonly Place[], when = ''): Promise<void> {
  const named = places.map(({ name, pieces }) => ({ name: `${when}${name}`, pieces }));
  hits.push(...(await searchPlaces([world.canaries, planted], named)));
}

async function isHolding(): Promise<boolean> {
  const { raw } = await world.client.workflow.getHandle(SESSION).describe();
  const details = (raw.pendingActivities ?? []).flatMap(
    (one) => one.heartbeatDetails?.payloads ?? [],
  );
  return details.some(({ data }) => Buffer.from(data ?? []).includes(WORD));
}

/** What people ask for when all is over, and when they ask for what is wrong. */
function lookAtAll(): Promise<string>[] {
  const asked = [SESSION, WRONG, WRONG_GIT, 'no-such-session'].flatMap((id) => [
    ['events', id],
    ['get', id],
  ]);
  const vault = [
    ['vaults', 'list'],
    ['vaults', 'get', 'team'],
    ['credentials', 'list', 'team'],
    ['credentials', 'list', 'nowhere'],
    ['credentials', 'create', 'team', 'new', '{"type": "git", "url": "nowhere"}'],
    ['credentials', 'rotate', 'team', 'oauth'],
  ];
  return [...asked, ...vault].flatMap((args) =>
    FORMATS.map((format) => commandHere([...args, ...format])),
  );
}

/** The same command in this process: many processes at once would take their time. */
async function commandHere(args: readonly string[]): Promise<string> {
  let printed = '';
  const output = {
    isTTY: false,
    write(chunk: string) {
      printed += chunk;
      return true;
    },
  };
  await runCommandLine(args, 'drover', {
    stdin: Readable.from([world.secrets.bearer]),
    stdout: output,
    stderr: output,
    signal: new AbortController().signal,
  });
  return printed;
}

/** Everything that a command prints; a canary is what it is given to read. */
async function commandLine(...args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [COMMAND_LINE, ...args], {
    env: { PATH: process.env['PATH'], TEMPORAL_ADDRESS: world.temporal.address },
  });
  child.stdin.on('error', () => {});
  child.stdin.end(world.secrets.bearer);
  const printed = await Promise.all([text(child.stdout), text(child.stderr)]);
  return printed.join('\n');
}

function workspaceOf(stateFolder: string): string {
  const found = folderPlaces(stateFolder, '').find(({ name }) => /^[^ ]*\/word.txt$/.test(name));
  if (found === undefined) throw new Error('the held call has no workspace');
  return join(stateFolder, dirname(found.name));
}

withBao('no canary is anywhere', () => {
  const found = hits.filter(({ canary }) => canary !== 'said');
  expect(found).toEqual([]);
});

withBao('what the session said is found in every place', () => {
  const places = hits.filter(({ canary }) => canary === 'said').map(({ place: name }) => name);
  const pid = heldPids.map((held) => `${held}`);
  expect(pid.length).toBeGreaterThan(3);
  for (const expected of [
    `history of ${SESSION}`,
    `while it ran: description of ${SESSION}`,
    'while it ran: memory of process',
    'values of temporal/temporal.db',
    '/word.txt',
    'command line 0',
    'command line 1',
    'model ',
  ]) {
    expect(places).toContainEqual(expect.stringContaining(expected));
  }
});

withBao('everything was used', async () => {
  const { api, elsewhere, git, mcp, bearerMcp, secrets, tokens } = world;
  const results = (await world.results(SESSION)).join('\n');
  expect(results.match(/^welcome$/gm)).toHaveLength(5);
  expect(api.keyed.get('/check')).toBe(6);
  for (const path of ['/reflect', '/compressed', '/500', '/401', '/redirect']) {
    expect([...api.keyed.keys()]).toContain(path);
  }
  expect(results).toContain('pushed with 0');
  expect(results).toContain('pulled with 0');
  expect(git.git('work', 'log', '--format=%s', '-1', 'drover/change')).toBe('change');
  expect(results.match(/You are known/g)?.length).toBeGreaterThanOrEqual(4);
  expect(mcp.authorizations).toContain(`Bearer ${tokens.accessToken}`);
  expect(bearerMcp.authorizations).toContain(`Bearer ${secrets.bearer}`);
  expect(tokens.requests.length).toBeGreaterThan(0);
  expect(elsewhere.requests.length).toBeGreaterThan(0);
  expect(elsewhere.keyed).toEqual(new Map());
});

withBao('what failed was worded', async () => {
  const events = await world.log.read(WRONG);
  const errors = events.flatMap((event) => (event.type === 'session.error' ? [event.error] : []));
  for (const mcp_server_name of ['oauth', 'bearer']) {
    const type = 'mcp_authentication_failed_error';
    expect(errors).toContainEqual(expect.objectContaining({ type, mcp_server_name }));
  }
  expect((await world.results(WRONG)).at(-1)).toContain('who is');
  expect((await world.results(WRONG_GIT)).at(-1)).toMatch(/work\.git.*401|refused|denied/s);
});
