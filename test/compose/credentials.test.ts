import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Drover } from '../../client/index.ts';
import { calls } from '../../rehearsal/script.ts';
import { waitFor } from '../support/wait-for.ts';
import { createCanaries } from '../vault/search/canaries.ts';
import { folderPlaces } from '../vault/search/folder-places.ts';
import { processPlaces } from '../vault/search/process-places.ts';
import { type Hit, type Place, searchPlaces, textPlace } from '../vault/search/search-places.ts';
import { temporalPlaces } from '../vault/search/temporal-places.ts';
import { keepAnswers, sessionInput, useApi, useGit } from '../vault/world/hand-scripts.ts';
import { findChromium, startBrowser } from './browser.ts';
import { allResults, sendCommands, startCommands } from './command-session.ts';
import type { ComposeContainer } from './compose-stack.ts';
import { type ComposeWorld, startComposeWorld } from './compose-world.ts';

// One session uses, from a hand in a container, every kind of credential, MCP servers, a package and a
// file. Each credential is a canary, and is looked for wherever anything of the session was.

const COMMAND_LINE = fileURLToPath(new URL('../../client/command-line/main.ts', import.meta.url));
const UP_MS = 600_000;
const HANDS = 3;
/** What a hand has of a session. */
const HAND_FOLDERS = ['workspace', 'home/drover', 'tmp', 'mnt/session', 'run/drover', 'dev/shm'];
/** Everything but the vault itself and its login. */
const VOLUMES = ['s3', 'postgres', 'hands-state', 'gateway-state', 'signing-keys', 'doors'];
const GIVEN = 'given to the session\n';

const planted = createCanaries();
const WORD = planted.make('said');

let world: ComposeWorld;
let drover: Drover;
let connection: Connection;
let session: string;
/** Its daemon was stopped by its own command. */
let stopped: { readonly before: ComposeContainer; readonly told: Promise<string> };

beforeAll(async () => {
  world = await startComposeWorld(`drover-credentials-${process.pid}`, HANDS);
  await world.up();
  drover = await world.stack.drover();
  const { temporal } = world.stack.ports;
  connection = await Connection.connect({ address: `127.0.0.1:${temporal}` });
  await world.keepCredentials();
  stopped = await stopDaemon();
}, UP_MS);

afterAll(async () => {
  await connection?.close();
  await drover?.close();
  await world?.close();
}, UP_MS);

describe('a session with credentials', () => {
  test('uses them all from its hand, with its package and its file', async () => {
    const file = await commandLine(GIVEN, 'cat > /tmp/given && $drover files upload /tmp/given');
    const { api, elsewhere, git, mcp, bearerMcp, secrets, tokens } = world;
    const refused = tokens.accessToken;
    world.expired.add(refused);
    session = await play(file);
    const results = (await allResults(drover, session)).join('\n');
    expect(results.match(/^welcome$/gm)).toHaveLength(5);
    expect(api.keyed.get('/check')).toBe(6);
    expect(elsewhere.keyed).toEqual(new Map());
    expect(results).toContain('pushed with 0');
    expect(results).toContain('pulled with 0');
    expect(git.git('work', 'log', '--format=%s', '-1', 'drover/change')).toBe('change');
    expect(results.match(/You are known/g)).toHaveLength(2);
    expect(tokens.accessToken).not.toBe(refused);
    expect(mcp.authorizations).toContain(`Bearer ${tokens.accessToken}`);
    expect(bearerMcp.authorizations).toContain(`Bearer ${secrets.bearer}`);
    expect(results).toContain('probed');
    expect(results).toContain(GIVEN);
  }, 300_000);

  test('finds the whole of a large MCP result in a file of its hand', async () => {
    const results = await allResults(drover, session);
    const told = results.flatMap((text) => {
      const [, bytes] = /The whole result, (\d+) bytes/.exec(text) ?? [];
      return bytes === undefined ? [] : [Number(bytes)];
    });
    expect(told).toHaveLength(2);
    expect(Math.min(...told)).toBeGreaterThan(100_000);
    const [sizes] = await sendCommands(drover, session, ['stat -c %s /workspace/mcp-results/*']);
    expect(sizes?.text.trim().split('\n').map(Number).sort()).toEqual(told.sort());
  }, 120_000);

  test('goes on in another hand with its workspace, when that was released meanwhile', async () => {
    const before = (await drover.sessions.get(session)).hands['main'];
    await waitFor('the hand to be released', () => isReleased(session), 60_000);
    const commands = 'cat /workspace/word.txt; ls /tmp/mark; cd /workspace/work && git pull -q; ';
    const [result] = await sendCommands(drover, session, [
      `${commands} echo pulled with $?; git log --format=%s -1; drover-probe; echo "$API_KEY"`,
    ]);
    expect(result?.text).toMatch(/restored from a snapshot/);
    expect(result?.text).toContain(WORD);
    expect(result?.text).toContain("cannot access '/tmp/mark'");
    expect(result?.text).toMatch(/pulled with 0\nchange\nprobed\ndrover_placeholder/);
    const after = (await drover.sessions.get(session)).hands['main'];
    expect(after?.generation).toBe((before?.generation ?? 0) + 1);
    expect(after?.instance).not.toBe(before?.instance);
  }, 120_000);

  test('gives files', async () => {
    const list = await commandLine('', `$drover files list ${session}`);
    expect(list).toMatch(/report\.txt/);
    const got = `$drover files get ${session} report.txt --to /tmp && cat /tmp/report.txt`;
    expect(await commandLine('', got)).toContain(WORD);
  }, 60_000);
});

describe('no credential', () => {
  test('is in the hand that uses them', () => {
    expect(inHand.filter(({ canary }) => canary !== 'said')).toEqual([]);
    const places = inHand.map(({ place }) => place).join('\n');
    for (const expected of ['workspace/word.txt', 'memory of process', 'mnt/session/outputs']) {
      expect(places).toContain(expected);
    }
  });

  test('is in snapshots, the store, the databases, histories or logs', async () => {
    await waitFor('the hand to be released', () => isReleased(session), 60_000);
    const { stack, model } = world;
    const places = [...(await Array.fromAsync(temporalPlaces(connection)))];
    for (const volume of VOLUMES) {
      places.push(...folderPlaces(await stack.folderOf(volume), volume));
    }
    places.push(textPlace('logs', await stack.compose('logs', '--no-color')));
    places.push(...model.requests.map(({ text }, index) => textPlace(`model ${index}`, text)));
    const hits = await searchPlaces([world.canaries, planted], places);
    expect(hits.filter(({ canary }) => canary !== 'said')).toEqual([]);
    const names = hits.map(({ place }) => place);
    for (const expected of [/^history of/, /^s3\/.*workspaces/, /^s3\/.*outputs/, /^model /]) {
      expect(names).toContainEqual(expect.stringMatching(expected));
    }
  }, 300_000);
});

test('a package that cannot be had is told in words', async () => {
  const { host, missingUrl } = world.packages;
  const { id, finished } = await startCommands(drover, ['echo never'], {
    networking: { type: 'limited', allowed_hosts: [host] },
    config: { packages: packages(missingUrl) },
  });
  const [result] = await finished();
  expect(result?.isError).toBe(true);
  expect(result?.text).toMatch(/npm could not install .*none\.tgz/);
  expect(result?.text).toContain('404');
  await drover.sessions.archive(id);
}, 120_000);

test('a hand whose daemon was stopped by its own command is told as lost, and comes back', async () => {
  expect(await stopped.told).toMatch(/Outcome unknown: the sandbox was lost/);
  const container = async (): Promise<ComposeContainer | undefined> =>
    (await world.stack.containers('hand')).find(({ id }) => id === stopped.before.id);
  await waitFor('its container to be started anew', async () => {
    const now = await container();
    return now?.inspected.State.Status === 'running' && now.startedAt !== stopped.before.startedAt;
  });
  // Nobody else has a hand: as many sessions get one as there are containers.
  await drover.sessions.archive(session);
  const holders = await Promise.all(
    Array.from({ length: HANDS }, () => startCommands(drover, ['hostname; sleep 1'])),
  );
  const names = (await Promise.all(holders.map((one) => one.finished()))).flat();
  expect(new Set(names.map(({ text }) => text.trim())).size).toBe(HANDS);
  expect(names.map(({ text }) => text.trim())).toContain(stopped.before.id.slice(0, 12));
  await Promise.all(holders.map(({ id }) => drover.sessions.archive(id)));
}, 120_000);

describe('with a key ring', () => {
  const word = planted.make('sealed');
  let sealed: Drover;
  let id: string;
  let ring: string;

  beforeAll(async () => {
    ring = join(world.folder, 'ring.json');
    await droverHere({}, 'payload-keys', 'create', ring);
    await world.up({ DROVER_PAYLOAD_KEYS: ring });
    sealed = await world.stack.drover(ring);
    const { id: started, finished } = await startCommands(sealed, [`echo '${word}'`]);
    const [result] = await finished();
    expect(result?.text).toContain(word);
    id = started;
  }, UP_MS);

  afterAll(() => sealed?.close());

  test('histories hold ciphertext, and the command line reads them, older ones too', async () => {
    const places = await Array.fromAsync(temporalPlaces(connection));
    const hits = await searchPlaces([planted], places);
    const found = (canary: string) => hits.filter((hit) => hit.canary === canary);
    expect(places.map(({ name }) => name)).toContainEqual(expect.stringContaining(`of ${id} `));
    expect(found('sealed')).toEqual([]);
    expect(found('said').length).toBeGreaterThan(0);
    const read = (key: string, session: string): Promise<string> =>
      droverHere({ DROVER_PAYLOAD_KEYS: key }, 'events', session);
    expect(await read(ring, id)).toContain(word);
    expect(await read('', id)).not.toContain(word);
    expect(await read(ring, session)).toContain(WORD);
  }, 60_000);

  test('a rotation is followed in the middle of a session', async () => {
    const before = readFileSync(ring, 'utf8');
    await droverHere({}, 'payload-keys', 'rotate', ring, '--after', '0');
    expect(readFileSync(ring, 'utf8')).not.toBe(before);
    await world.stack.compose('run', '--rm', '-T', 'prepare');
    const rotated = await world.stack.drover(ring);
    const [result] = await sendCommands(rotated, id, ['echo with another key']);
    await rotated.close();
    expect(result?.text).toContain('with another key');
  }, 60_000);

  const chromium = findChromium();
  test.skipIf(chromium === undefined)(
    'the Web UI shows words with the codec server, and none without',
    async () => {
      const origin = `http://localhost:${world.stack.ports.ui}`;
      await using codec = await startCodecServer(ring, origin);
      await using browser = await startBrowser(chromium ?? '');
      const page = `${origin}/namespaces/default/workflows/${id}/${await runOf(id)}/history`;
      const sealedPage = await browser.openUntil(page, 'its sealed input', (text) =>
        /Input\n"[\w+/]{99,}=*"\n[\s\S]*Workflow Execution Started/.test(text),
      );
      expect(sealedPage).not.toMatch(/initial_events|echo|step 1/);
      // As its settings keep it.
      await browser.evaluate(`localStorage.setItem('endpoint', '"${codec.url}"')`);
      await browser.evaluate(`localStorage.setItem('overrideRemoteCodecConfiguration', 'true')`);
      await browser.openUntil(page, 'its words', (text) =>
        ['"initial_events"', `bash: echo '${word}'`, 'step 1'].every((one) => text.includes(one)),
      );
    },
    120_000,
  );
});

const inHand: Hit[] = [];

/** The whole of it; what is in the hand is searched in the end, while all is in use. */
async function play(file_id: string): Promise<string> {
  const { git, scripts, packages: npm } = world;
  git.addRepository('work');
  const bash = (command: string) => [calls('bash', { command })];
  scripts.set('use', [
    ...['oauth', 'bearer'].map((server) =>
      ['echo', 'large'].map((tool) => calls(`mcp__${server}__${tool}`, { word: WORD })),
    ),
    bash(useApi(world)),
    bash(useGit('work')),
    bash(keepAnswers(world)),
    bash(`drover-probe; cat /mnt/session/uploads/${file_id}; touch /tmp/mark`),
    bash(
      `echo '${WORD}' | tee /workspace/word.txt > /mnt/session/outputs/report.txt; export WORD='${WORD}'; until [ -e /workspace/go ]; do sleep 0.1; done`,
    ),
  ]);
  const input = sessionInput(world, 'use', { hosts: [npm.host] }) as {
    readonly environment: object;
    readonly resources: readonly object[];
  };
  const { id, event_ids } = await drover.sessions.create({
    ...input,
    environment: {
      ...input.environment,
      config: { packages: packages(npm.url) },
      idle_release_seconds: 5,
    },
    resources: [...input.resources, { type: 'file', file_id }],
  } as Parameters<Drover['sessions']['create']>[0]);
  const root = await waitFor('the hand to wait', () => handWith('workspace/word.txt'), 200_000);
  const places: Place[] = root.pids.flatMap(processPlaces);
  for (const folder of HAND_FOLDERS) places.push(...folderPlaces(`${root.path}/${folder}`, folder));
  inHand.push(...(await searchPlaces([world.canaries, planted], places)));
  writeFileSync(`${root.path}/workspace/go`, '');
  await drover.sessions.waitUntilIdle(id, { after: event_ids.at(-1) ?? '', timeoutMs: 60_000 });
  return id;
}

/** The hand that has this file, as this machine sees it. */
async function handWith(file: string) {
  for (const container of await world.stack.containers('hand')) {
    const path = `/proc/${container.pid}/root`;
    if (existsSync(`${path}/${file}`) && readFileSync(`${path}/${file}`).length > 0) {
      return { path, pids: await world.stack.pidsIn(container) };
    }
  }
  return undefined;
}

async function stopDaemon(): Promise<typeof stopped> {
  const { id, finished } = await startCommands(drover, ['hostname']);
  const [name] = await finished();
  const hands = await world.stack.containers('hand');
  const before = hands.find((one) => one.id.startsWith(name?.text.trim() ?? '-'));
  if (before === undefined) throw new Error(`no container is ${name?.text}`);
  const told = sendCommands(drover, id, ['kill -STOP $PPID; sleep 100']).then(async ([result]) => {
    await drover.sessions.archive(id);
    return result?.text ?? '';
  });
  told.catch(() => {});
  return { before, told };
}

async function isReleased(id: string): Promise<boolean> {
  return (await drover.sessions.get(id)).hands['main'] === undefined;
}

/** With the command line where the store is, as the documents say. */
function commandLine(input: string, command: string): Promise<string> {
  const drover = 'drover="node client/command-line/main.ts"';
  return world.stack.pipe(input, 'worker-hands', 'sh', '-c', `${drover}; ${command}`);
}

function packages(url: string) {
  return { npm: [url] };
}

async function runOf(workflowId: string): Promise<string> {
  const request = { namespace: 'default', execution: { workflowId } };
  const described = await connection.workflowService.describeWorkflowExecution(request);
  return described.workflowExecutionInfo?.execution?.runId ?? '';
}

/** On this machine, as a person does. */
async function droverHere(
  variables: Readonly<Record<string, string>>,
  ...words: readonly string[]
): Promise<string> {
  const address = `127.0.0.1:${world.stack.ports.temporal}`;
  const { stdout } = await promisify(execFile)(process.execPath, [COMMAND_LINE, ...words], {
    env: { PATH: process.env['PATH'], TEMPORAL_ADDRESS: address, ...variables },
  });
  return stdout;
}

async function startCodecServer(ring: string, origin: string) {
  const words = [COMMAND_LINE, 'codec-server', '--port', '0', '--origin', origin];
  const child = spawn(process.execPath, words, {
    env: { PATH: process.env['PATH'], DROVER_PAYLOAD_KEYS: ring },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = await once(child.stdout, 'data');
  const [, url = ''] = /codec server on (\S+),/.exec(String(said)) ?? [];
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill('SIGINT');
      await once(child, 'exit');
    },
  };
}
