import { readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../launch/free-port.ts';
import type { Player, RehearsalRequest, Turn } from '../../rehearsal/player.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { type RehearsalServer, startRehearsalServer } from '../../rehearsal/server.ts';
import { type Launcher, serverOf, startLauncher } from '../support/launcher.ts';
import { filesOf, findFile, readText, textOf } from '../support/places.ts';
import { giveBundle } from '../support/used-state.ts';
import { waitFor } from '../support/wait-for.ts';

// The model's key is marked, a whole session runs, and the mark is looked for wherever something of a
// session is kept or shown. A word that the user says is looked for too: the search must find it.

const KEY = `sk-ant-canary-${process.pid}`;
const PLANTED = `planted-${process.pid}`;

/** Tells all that the sandbox can see, then holds a call open until `go` is there. */
const LOOK = 'env; tr "\\0" "\\n" < /proc/self/environ; cat /proc/*/environ /proc/*/cmdline 2>&1';
const HOLD = `echo ${PLANTED}; until [ -e go ]; do sleep 0.1; done`;

let state: string;
let model: RehearsalServer;
let launcher: Launcher;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'drover-e2e-'));
  await giveBundle(state);
  const ports = { port: await freePort(0), uiPort: await freePort(0) };
  await writeFile(join(state, 'temporal.json'), JSON.stringify({ pid: 2 ** 30, ...ports }));
  model = await startRehearsalServer({ player: player(), apiKey: KEY });
  launcher = startLauncher([`say ${PLANTED}`], {
    DROVER_STATE_FOLDER: state,
    ANTHROPIC_API_KEY: KEY,
    ANTHROPIC_BASE_URL: model.url,
  });
});

afterEach(async () => {
  launcher.child.kill('SIGINT');
  await launcher.exited;
  await model.close();
  await rm(state, { recursive: true, force: true });
});

function player(): Player {
  const script = fromConversation(decide);
  return (request, context) => (context.index === 0 ? echoOfKey() : script(request, context));
}

/** What a careless gateway answers. */
function echoOfKey(): Turn {
  const error = { type: 'api_error', message: `no upstream for x-api-key ${KEY}` };
  return { type: 'error', status: 500, body: { type: 'error', error } };
}

function decide({ messages }: RehearsalRequest): Turn {
  const said = JSON.stringify(messages);
  if (!said.includes('tool_result')) return says([calls('bash', { command: LOOK })]);
  if (!said.includes('until [')) return says([calls('bash', { command: HOLD })]);
  return says('done');
}

test('the key of the model is nowhere but in launcher, worker and their requests', async () => {
  const session = String((await launcher.until(/session (session-\S+)/))[1]);
  const { port } = await serverOf(state);
  const connection = await Connection.connect({ address: `127.0.0.1:${port}` });
  const client = new Client({ connection });

  const heartbeats = await waitFor('the held call to beat', async () => {
    const described = textOf(await client.workflow.getHandle(session).describe());
    return described.includes(PLANTED) && described.includes('output_bytes') && described;
  });
  const hand = processesOfHands();
  const workspace = findFile(state, 'workspace');
  await writeFile(join(workspace, 'go'), '');
  await launcher.until(/idle: end_turn/);
  const history = textOf(await client.workflow.getHandle(session).fetchHistory());
  await connection.close();
  expect(model.requests.length).toBeGreaterThanOrEqual(3);

  const places: Record<string, string> = {
    history,
    heartbeats,
    'what the launcher prints': launcher.output(),
    'the hand’s processes': hand,
    ...filesOf(state),
  };
  const holding = (word: string) =>
    Object.keys(places).filter((place) => places[place]?.includes(word));
  expect(holding(KEY)).toEqual([]);
  expect(holding(PLANTED)).toEqual(
    expect.arrayContaining(['history', 'heartbeats', 'what the launcher prints', 'temporal.db']),
  );
  expect(places['the hand’s processes']).toContain('DROVER_HAND=');
  expect(places['worker.log']).toContain('polling as');
  expect(Object.keys(places)).toContainEqual(expect.stringMatching(/supervisor\.log$/));
});

/** Environment and command line of every process of a hand of this state folder: all but the worker. */
function processesOfHands(): string {
  const ofHand = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => `${readText(`/proc/${pid}/cmdline`)}\0${readText(`/proc/${pid}/environ`)}`)
    .filter((text) => text.includes('DROVER_HAND=') && text.includes(state));
  return ofHand.join('\n');
}
