import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { createLogReader, type LogReader } from '../../log/log-reader.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { TASK_QUEUE } from '../../protocol/task-queue.ts';
import type { Player, Turn } from '../../rehearsal/player.ts';
import { calls, fromConversation, says, text } from '../../rehearsal/script.ts';
import { startRehearsalServer } from '../../rehearsal/server.ts';
import { loadWorkflowBundle, PAYLOAD_CONVERTER_PATH } from '../../workers/workflow-bundle.ts';
import { BUNDLE_CACHE } from './bundle-cache.ts';
import { type DevServer, startDevServer } from './dev-server.ts';
import { waitFor } from './wait-for.ts';
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts';

export const STEPS = 9;
/** Low enough that a session of this length rolls over several times. */
const ROLL_OVER_EVENTS = 28;
const STREAM_PACE_MS = 15;

/** Where in a session the worker is killed. */
export type KillPoint =
  | { readonly at: 'streaming' | 'running' | 'between'; readonly step: number }
  | { readonly at: 'roll_over'; readonly run: number };

export interface KillWorld {
  readonly client: Client;
  readonly log: LogReader;
  readonly worker: WorkerProcess;
  readonly stateFolder: string;
  /** Resolves when the model is in the middle of the answer of a session's step. */
  streaming(session: string, step: number): Promise<void>;
  close(): Promise<void>;
}

/** A server, a stand-in model and one real worker process, which tests kill. */
export async function startKillWorld(stateFolder: string): Promise<KillWorld> {
  const server = await startDevServer([
    `limit.historyCount.suggestContinueAsNew=${ROLL_OVER_EVENTS}`,
  ]);
  const seen = new Set<string>();
  const model = await startRehearsalServer({ player: player((key) => seen.add(key)) });
  const worker = await startWorkerProcess({
    TEMPORAL_ADDRESS: server.address,
    DROVER_STATE_FOLDER: stateFolder,
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: 'rehearsal',
  });
  const connection = await connect(server);
  return {
    client: new Client({ connection }),
    log: createLogReader({ service: connection.workflowService, namespace: 'default' }),
    worker,
    stateFolder,
    streaming: async (session, step) => {
      await waitFor(`step ${step} to stream`, () => seen.has(`${session}:${step}`));
    },
    close: async () => {
      await worker.stop();
      await model.close();
      await connection.close();
      await server.stop();
    },
  };
}

function connect(server: DevServer): Promise<Connection> {
  return Connection.connect({ address: server.address });
}

const LONG_COMMAND = 'long-command';

/** Each step appends one line; the marker files tell a test where the command is. */
function player(onStreaming: (key: string) => void): Player {
  return fromConversation((request) => {
    const step = request.messages.filter(({ role }) => role === 'assistant').length;
    const session = sessionOf(JSON.stringify(request.messages[0]));
    if (JSON.stringify(request.messages[0]).includes(LONG_COMMAND)) return longTurn(session, step);
    const pace = async ({ index }: { index: number }) => {
      if (index === 4) onStreaming(`${session}:${step}`);
      await new Promise((resolve) => setTimeout(resolve, STREAM_PACE_MS));
    };
    if (step >= STEPS) return says(`All ${STEPS} lines are written.`, { pace });
    const command = [
      `touch ${session}-started-${step}`,
      'sleep 0.2',
      `echo line ${step} >> ${session}-lines.txt`,
      `touch ${session}-ended-${step}`,
      `echo wrote line ${step}`,
    ].join('; ');
    const words = text(`Now line number ${step}, then the next one.`);
    return says([words, calls('bash', { command }, `toolu_${session}_${step}`)], { pace });
  });
}

function longTurn(session: string, step: number): Turn {
  if (step > 0) return says('Done.');
  const file = `${session}-lines.txt`;
  const command = `echo started >> ${file}; sleep 6; echo ended >> ${file}; echo it is done`;
  return says([calls('bash', { command }, `toolu_${session}`)]);
}

function sessionOf(message: string): string {
  return /kill-[0-9a-f]{8}/.exec(message)?.[0] ?? 'unknown';
}

export interface Outcome {
  readonly events: readonly SessionEvent[];
  /** The log without ids and times, and without the errors that name the kill. */
  readonly normalized: string;
  readonly lines: readonly string[];
  readonly runs: number;
}

/** Runs one session to its end, killing and respawning the worker at the point if one is given. */
export async function runKilledSession(world: KillWorld, point?: KillPoint): Promise<Outcome> {
  const session = `kill-${randomUUID().slice(0, 8)}`;
  const handle = await world.client.workflow.start('session', {
    workflowId: session,
    taskQueue: TASK_QUEUE.session,
    args: [`Write ${STEPS} lines (${session}).`],
  });
  if (point !== undefined) {
    await reach(world, session, point);
    await world.worker.kill();
    await world.worker.respawn();
  }
  const events = await untilIdle(world, handle);
  const lines = await readLines(world.stateFolder, `${session}-lines.txt`);
  const runs = new Set(events.map(({ position }) => position.split('.')[0])).size;
  await handle.cancel();
  return { events, normalized: normalize(events, session), lines, runs };
}

async function untilIdle(world: KillWorld, handle: WorkflowHandle): Promise<SessionEvent[]> {
  await waitFor(
    `${handle.workflowId} to be idle`,
    async () => {
      // From the log: a query may reach a cold worker, which then knows more than history does.
      const session = await world.log.session(handle.workflowId);
      return session.status === 'idle' && session.stop_reason !== null;
    },
    60_000,
  );
  return world.log.read(handle.workflowId);
}

/** Kills the worker within a command of six seconds. */
export async function runLongCommand(world: KillWorld) {
  const session = `kill-${randomUUID().slice(0, 8)}`;
  const handle = await world.client.workflow.start('session', {
    workflowId: session,
    taskQueue: TASK_QUEUE.session,
    args: [`One ${LONG_COMMAND} (${session}).`],
  });
  const file = `${session}-lines.txt`;
  await waitFor('the command', async () => (await readLines(world.stateFolder, file)).length === 1);
  await world.worker.kill();
  await world.worker.respawn();
  const events = await untilIdle(world, handle);
  await handle.cancel();
  return {
    lines: await readLines(world.stateFolder, file),
    results: events.flatMap((event) =>
      event.type === 'agent.tool_result'
        ? [(event.content ?? []).map((block) => ('text' in block ? block.text : '')).join('')]
        : [],
    ),
    stopReason: events.flatMap((event) =>
      event.type === 'session.status_idle' ? [event.stop_reason] : [],
    )[0],
  };
}

/** Every run of every session so far, as long as it takes to find one that does not replay. */
export async function replayAll(world: KillWorld): Promise<number> {
  const bundlePath = await loadWorkflowBundle(BUNDLE_CACHE);
  const options = {
    workflowBundle: { codePath: bundlePath },
    dataConverter: { payloadConverterPath: PAYLOAD_CONVERTER_PATH },
  };
  let runs = 0;
  for await (const { workflowId, error } of Worker.runReplayHistories(
    options,
    historiesOf(world),
  )) {
    if (error !== undefined) throw new Error(`${workflowId} does not replay`, { cause: error });
    runs += 1;
  }
  return runs;
}

async function* historiesOf({ client }: KillWorld) {
  for await (const { workflowId, runId } of client.workflow.list()) {
    yield {
      workflowId,
      history: await client.workflow.getHandle(workflowId, runId).fetchHistory(),
    };
  }
}

async function reach(world: KillWorld, session: string, point: KillPoint): Promise<void> {
  switch (point.at) {
    case 'streaming':
      return world.streaming(session, point.step);
    case 'running':
      return fileAppears(world, `${session}-started-${point.step}`);
    case 'between':
      return fileAppears(world, `${session}-ended-${point.step}`);
    case 'roll_over':
      return rolledOver(world, session, point.run);
  }
}

async function rolledOver(world: KillWorld, session: string, run: number): Promise<void> {
  const runs = new Set<string>();
  await waitFor(`run ${run} of ${session}`, async () => {
    const { runId } = await world.client.workflow.getHandle(session).describe();
    runs.add(runId);
    return runs.size > run;
  });
}

async function fileAppears(world: KillWorld, name: string): Promise<void> {
  await waitFor(name, async () => (await find(world.stateFolder, name)) !== undefined);
}

async function readLines(folder: string, name: string): Promise<string[]> {
  const path = await find(folder, name);
  if (path === undefined) return [];
  return (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
}

export async function find(folder: string, name: string): Promise<string | undefined> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  const found = entries.find((entry) => entry === name || entry.endsWith(`/${name}`));
  return found === undefined ? undefined : join(folder, found);
}

/** Ids become ordinals and times vanish, so that two runs of one script read the same. */
function normalize(events: readonly SessionEvent[], session: string): string {
  const kept = events.filter(
    (event) => !(event.type === 'session.error' && event.error.retry_status.type === 'retrying'),
  );
  const ordinals = new Map(kept.map((event, index) => [event.id, `event-${index}`]));
  const lines = kept.map(({ position: _position, processed_at: _time, ...event }) =>
    JSON.stringify(event),
  );
  let log = lines.join('\n').replaceAll(session, 'SESSION');
  for (const [id, ordinal] of ordinals)
    log = log.replaceAll(id.replaceAll(session, 'SESSION'), ordinal);
  log = log.replace(/msg_rehearsal_[0-9a-f]+/g, 'msg_…');
  return log.replace(/"request_id":"[^"]*"/g, '"request_id":"…"');
}
