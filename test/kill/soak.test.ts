import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findHandFolder } from '../../activities/hands/local/hand-folder.ts';
import { releaseAll } from '../../activities/hands/local/release-all.ts';
import { type OpenConnection, openConnection } from '../../client/open-connection.ts';
import { createRequests } from '../../client/requests.ts';
import { createLogReader } from '../../log/log-reader.ts';
import { getSession } from '../../protocol/messages.ts';
import { TASK_QUEUE } from '../../protocol/task-queue.ts';
import { type RehearsalServer, startRehearsalServer } from '../../rehearsal/server.ts';
import { loadWorkflowBundle, PAYLOAD_CONVERTER_PATH } from '../../workers/workflow-bundle.ts';
import { BUNDLE_CACHE } from '../support/bundle-cache.ts';
import { type DevServer, startDevServer } from '../support/dev-server.ts';
import { randomFrom } from '../support/random-session.ts';
import { checkLog, failedTasks, wrongRuns } from '../support/soak-checks.ts';
import { RAN_FILE, soakPlayer } from '../support/soak-player.ts';
import { type SoakSession, type SoakWorld, startSoakSession } from '../support/soak-session.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

// Sessions to which anything is done at any moment, while their worker is killed again and again.
// A longer one: DROVER_SOAK_SECONDS, DROVER_SOAK_SESSIONS, DROVER_SOAK_SEED.

const SECONDS = Number(process.env['DROVER_SOAK_SECONDS'] ?? 15);
const SESSIONS = Number(process.env['DROVER_SOAK_SESSIONS'] ?? 6);
const SEED = Number(process.env['DROVER_SOAK_SEED'] ?? 1);
const ROLL_OVER_EVENTS = 60;

Runtime.install({ logger: new DefaultLogger('ERROR') });

let server: DevServer;
let model: RehearsalServer;
let worker: WorkerProcess;
let opened: OpenConnection;
let world: SoakWorld;
let stateFolder: string;

beforeAll(async () => {
  stateFolder = await realpath(await mkdtemp(join(tmpdir(), 'drover-soak-')));
  server = await startDevServer([`limit.historyCount.suggestContinueAsNew=${ROLL_OVER_EVENTS}`]);
  model = await startRehearsalServer({ player: soakPlayer(SEED) });
  worker = await startWorkerProcess({
    TEMPORAL_ADDRESS: server.address,
    DROVER_STATE_FOLDER: stateFolder,
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: 'rehearsal',
  });
  opened = await openConnection(server.address, {});
  const { connection } = opened;
  const client = new Client({ connection });
  world = {
    client,
    requests: createRequests(client, server.address, TASK_QUEUE.session),
    log: createLogReader({ service: connection.workflowService, namespace: 'default' }),
  };
});

afterAll(async () => {
  await worker?.stop();
  await model?.close();
  await opened?.close();
  await server?.stop();
  await releaseAll(stateFolder);
  await rm(stateFolder, { recursive: true, force: true });
});

test('whatever is done to a session, its log holds together', async () => {
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS }, (_, index) => startSoakSession(world, SEED * 1_000 + index)),
  );
  try {
    await killAgainAndAgain();
    await Promise.all(sessions.map((session) => session.finish()));
    for (const session of sessions) await checkSession(session);
  } finally {
    await Promise.all(sessions.map(({ tail }) => tail.stop()));
  }
  await replayAll();
}, 600_000);

async function killAgainAndAgain(): Promise<void> {
  const random = randomFrom(SEED);
  const until = Date.now() + SECONDS * 1_000;
  while (Date.now() < until) {
    await delay(1_000 + random() * 4_000);
    await worker.kill();
    await delay(random() * 1_000);
    await worker.respawn();
  }
}

async function checkSession({ handle, accepted, tail }: SoakSession): Promise<void> {
  const events = await world.log.read(handle.workflowId);
  checkLog(events, accepted);
  expect(await handle.query(getSession)).toEqual(await world.log.session(handle.workflowId));
  // Told twice only where the second word knows more.
  const received = new Map(tail.events.map((event) => [event.id, event]));
  expect([...received.values()].sort(byPosition)).toEqual(events);
  const { workflowId: session_id, firstExecutionRunId: chain_id } = handle;
  const hand = { session_id, chain_id, name: 'main' };
  const path = join(findHandFolder(stateFolder, hand).workspace, RAN_FILE);
  const ran = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  expect(wrongRuns(events, ran)).toEqual([]);
}

function byPosition(a: { position: string }, b: { position: string }): number {
  return a.position < b.position ? -1 : 1;
}

async function replayAll(): Promise<void> {
  const options = {
    workflowBundle: { codePath: await loadWorkflowBundle(BUNDLE_CACHE) },
    dataConverter: { payloadConverterPath: PAYLOAD_CONVERTER_PATH },
  };
  for await (const { workflowId, runId } of world.client.workflow.list()) {
    const history = await world.client.workflow.getHandle(workflowId, runId).fetchHistory();
    expect(failedTasks(history)).toEqual([]);
    await Worker.runReplayHistory(options, history, workflowId);
  }
}
