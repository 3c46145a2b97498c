import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HAND_TOOLS } from '../protocol/hand-tools.ts';
import type { SessionEvent } from '../protocol/session-event.ts';
import { runNaiveLoop } from './baseline/naive-loop.ts';
import { rounded, timed } from './measure.ts';
import { MissingInputError } from './missing-input-error.ts';
import { readClaudeCodeRecording } from './recording/claude-code-recording.ts';
import { compareLog, recordedEntries } from './recording/compare-log.ts';
import { driveRecording } from './recording/drive-recording.ts';
import { naiveRecording } from './recording/naive-recording.ts';
import { readPiRecording } from './recording/pi-recording.ts';
import { createRecordedHandActivities } from './recording/recorded-hand.ts';
import { createRecordedPlayer } from './recording/recorded-player.ts';
import { callsOf, type RecordedTurn, type Recording, turnsOf } from './recording/recording.ts';
import { progress, type Report, type Target } from './report.ts';
import { startDroverWorker } from './world/drover-worker.ts';
import { serveHands } from './world/hands-worker.ts';
import { readSessionHistory } from './world/session-history.ts';
import { startWorld } from './world/world.ts';

const RECORDINGS = [
  { name: 'pi', path: 'pi/large-session.jsonl', read: readPiRecording },
  {
    name: 'claude-code',
    path: 'claude-code/258c7280-ae70-4798-800f-63464d01a85d.jsonl',
    read: readClaudeCodeRecording,
  },
] as const;

/** Low enough that each recording rolls over several times; the server's own advice is 4,096. */
const ROLL_OVER_EVENTS = 1_024;

/** Recorded conversations, played through whole sessions: the log must read back as the record. */
export async function run(): Promise<Report> {
  const fixtures = process.env['DROVER_FIXTURES'];
  if (fixtures === undefined || fixtures === '') {
    throw new MissingInputError(
      'replay-recording plays recorded sessions: set DROVER_FIXTURES to the folder that holds trajectories/',
    );
  }
  const results: Replayed[] = [];
  for (const { name, path, read } of RECORDINGS) {
    const text = await readFile(join(fixtures, 'trajectories', path), 'utf8');
    results.push(await replay(read(name, text)));
  }
  return {
    bench: 'replay-recording',
    figures: {
      roll_over_after_events: ROLL_OVER_EVENTS,
      recordings: Object.fromEntries(results.map(({ name, figures }) => [name, figures])),
    },
    targets: results.flatMap(({ targets }) => targets),
    baseline: { naive_loop: Object.fromEntries(results.map(({ name, naive }) => [name, naive])) },
  };
}

interface Replayed {
  readonly name: string;
  readonly figures: Readonly<Record<string, unknown>>;
  readonly targets: readonly Target[];
  readonly naive: Readonly<Record<string, unknown>>;
}

async function replay(recording: Recording): Promise<Replayed> {
  const { name } = recording;
  const turns = turnsOf(recording);
  let interrupt: () => Promise<unknown> = async () => {};
  await using world = await startWorld({
    player: createRecordedPlayer(recording, () => void interrupt()),
    settings: [`limit.historyCount.suggestContinueAsNew=${ROLL_OVER_EVENTS}`],
  });
  const taskQueue = `drover-hands-recorded-${name}`;
  await serveHands(world, taskQueue, createRecordedHandActivities(recording));
  const worker = await startDroverWorker({
    address: world.address,
    folder: world.folder,
    modelUrl: world.model.url,
    roles: 'brain',
  });
  world.defer(() => worker.stop());

  const sessionId = `recorded-${name}`;
  const { sessions } = world.drover;
  interrupt = () => sessions.interrupt(sessionId);
  const { ms } = await timed(() =>
    driveRecording(sessions, recording, {
      sessionId,
      agent: { name: `recorded ${name}`, tools: toTools(recording) },
      environment: { name: 'recorded', provider: 'recorded', task_queue: taskQueue },
      onInput: (index, total) => {
        if (index % 10 === 0) progress(`${name}: input ${index + 1} of ${total}`);
      },
    }),
  );
  const events = await sessions.events(sessionId);
  const differences = compareLog(recording, events);
  for (const difference of differences.slice(0, 5)) progress(JSON.stringify(difference));
  const history = await readSessionHistory(world.client, sessionId);
  progress(`${name}: ${history.runs} runs, ${differences.length} differences; now the naive loop`);
  const naive = await runNaiveLoop(world, naiveRecording(recording));
  return {
    name,
    figures: {
      wall_ms: rounded(ms),
      assistant_turns: turns.filter(({ end }) => end !== 'unspoken').length,
      tool_calls: turns.flatMap(callsOf).length,
      user_messages: count(events, 'user.message'),
      interrupts: count(events, 'user.interrupt'),
      model_requests: history.bytesAtStep.length,
      runs: history.runs,
      history_events: history.events,
      history_bytes: history.bytes,
      log_events: events.length,
      compared_entries: recordedEntries(recording).length,
      differences: differences.length,
      largest_request_bytes: Math.max(
        ...world.model.requests.map((request) => request.text.length),
      ),
    },
    targets: toTargets(recording, { turns, events, runs: history.runs, differences }),
    naive: {
      ...naive,
      of_steps: turns.length,
      history_bytes_of_ours_then: history.bytesAtStep[naive.steps - 1] ?? null,
    },
  };
}

/** Tools that the toolset lacks are the client's own: it answers them from the record. */
function toTools(recording: Recording) {
  const names = new Set(
    turnsOf(recording).flatMap((turn) => callsOf(turn).map(({ name }) => name)),
  );
  const custom = [...names].filter((name) => !HAND_TOOLS.some((tool) => tool === name));
  return [
    { type: 'agent_toolset_20260401' as const },
    ...custom.map((name) => ({
      type: 'custom' as const,
      name,
      description: `${name}, answered from the record`,
      input_schema: { type: 'object' as const },
    })),
  ];
}

function toTargets(
  { name }: Recording,
  seen: {
    readonly turns: readonly RecordedTurn[];
    readonly events: readonly SessionEvent[];
    readonly runs: number;
    readonly differences: readonly unknown[];
  },
): Target[] {
  const { turns, events, runs, differences } = seen;
  const stopped = turns.filter(({ end }) => end !== 'complete').length;
  const broken = turns.filter(({ end }) => end === 'broken').length;
  return [
    {
      name: `${name}: differences of log and record`,
      value: differences.length,
      limit: 0,
      is: 'equal',
    },
    { name: `${name}: runs of the one session`, value: runs, limit: 2, is: 'at_least' },
    {
      name: `${name}: interrupts`,
      value: count(events, 'user.interrupt'),
      limit: stopped,
      is: 'equal',
    },
    // A broken connection is tried again, and said so once.
    {
      name: `${name}: errors in the log`,
      value: count(events, 'session.error'),
      limit: broken,
      is: 'equal',
    },
  ];
}

function count(events: readonly SessionEvent[], type: SessionEvent['type']): number {
  return events.filter((event) => event.type === type).length;
}
