import type { AgentInput } from '../protocol/agent.ts';
import { calls, everyMs, fromConversation, says, text } from '../rehearsal/script.ts';
import { distributionOf, medianOf, ratio } from './measure.ts';
import { progress, type Report, type Target } from './report.ts';
import { type ColdReads, measureColdReads } from './wake/cold-reads.ts';
import { type Kill, measureKills } from './wake/kills.ts';
import { makeLongSessions } from './wake/long-sessions.ts';
import { startWorld } from './world/world.ts';

const SIZES = [1_000, 10_000, 50_000] as const;
const REPEATS = 15;
const KILLS = 24;
/** Anywhere in a phase: the model speaks for about half a second, and a command takes as long. */
const KILL_DELAYS_MS = [0, 350, 100, 450, 200, 400, 50, 300, 250] as const;
const AGENT: AgentInput = { name: 'wake', tools: [{ type: 'agent_toolset_20260401' }] };

/** How fast a session wakes: read by a worker that knows nothing of it, and after a kill. */
export async function run(): Promise<Report> {
  const reads = await readLongSessions();
  const kills = await killWorkers();
  const ms = (samples: readonly number[]) => distributionOf(samples);
  return {
    bench: 'wake',
    figures: {
      cold_reads: Object.fromEntries(
        [...reads].map(([size, read]) => [
          size,
          {
            events: read.events,
            bytes: read.bytes,
            runs: read.runs,
            cold_step_ms: ms(read.step),
            cold_log_ms: ms(read.log),
          },
        ]),
      ),
      kills: kills.length,
      kill_to_progress_ms: ms(kills.map(({ progressMs }) => progressMs)),
      kill_to_progress_ms_by_phase: Object.fromEntries(
        (['model', 'tool'] as const).flatMap((phase) => {
          const samples = kills.filter((kill) => kill.phase === phase);
          return samples.length === 0
            ? []
            : [[phase, ms(samples.map(({ progressMs }) => progressMs))]];
        }),
      ),
      kill_to_next_worker_polling_ms: ms(kills.map(({ bootMs }) => bootMs)),
      floor:
        'the heartbeat timeout of 2 s: the server gives a dead attempt up when it has been silent for so ' +
        'long, and the next is made 250 ms later; the next worker polls by then',
    },
    targets: [...readTargets(reads), ...killTargets(kills)],
    baseline: Object.fromEntries(
      [...reads].map(([size, read]) => [
        size,
        { bare_worker_read_ms: ms(read.bareStep), bare_client_read_ms: ms(read.bareLog) },
      ]),
    ),
  };
}

async function readLongSessions(): Promise<ReadonlyMap<number, ColdReads>> {
  await using world = await startWorld({ player: fromConversation(() => says('never asked')) });
  const ids = await makeLongSessions(world, SIZES);
  const reads = new Map<number, ColdReads>();
  for (const size of SIZES) {
    const read = await measureColdReads(world, ids.get(size) ?? '', REPEATS);
    reads.set(size, read);
    progress(
      `${read.events} events in ${read.runs} runs: step ${medianOf(read.step)} ms (bare ${medianOf(read.bareStep)}), ` +
        `log ${medianOf(read.log)} ms (bare ${medianOf(read.bareLog)})`,
    );
  }
  return reads;
}

async function killWorkers(): Promise<Kill[]> {
  await using world = await startWorld({ player: fromConversation(workForever) });
  const worker = {
    address: world.address,
    folder: world.folder,
    modelUrl: world.model.url,
    roles: 'all',
    sandbox: 'unconfined',
  } as const;
  const sessionId = 'killed';
  await world.drover.sessions.create({ agent: AGENT }, { id: sessionId });
  return measureKills(world, { sessionId, worker, kills: KILLS, delaysMs: KILL_DELAYS_MS });
}

/** Speaks for about half a second, then runs a command of half a second, without end. */
function workForever(request: { readonly messages: readonly unknown[] }) {
  const step = request.messages.length;
  return says(
    [text('Still working on it.'), calls('bash', { command: 'sleep 0.5' }, `toolu_${step}`)],
    {
      pace: everyMs(60),
    },
  );
}

function readTargets(reads: ReadonlyMap<number, ColdReads>): Target[] {
  const read = (size: number) => reads.get(size);
  const perEvent = (size: number, kind: 'step' | 'log') =>
    medianOf(read(size)?.[kind] ?? []) / (read(size)?.events ?? Number.NaN);
  return (['step', 'log'] as const).flatMap((kind): Target[] => [
    {
      name: `cold ${kind} of 10,000 events, p50, ms`,
      value: medianOf(read(10_000)?.[kind] ?? []),
      limit: 200,
    },
    ...SIZES.map((size) => ({
      name: `cold ${kind} of ${size} events to a bare read, p50`,
      value: ratio(
        medianOf(read(size)?.[kind] ?? []),
        medianOf(read(size)?.[kind === 'step' ? 'bareStep' : 'bareLog'] ?? []),
      ),
      limit: 1.5,
    })),
    {
      name: `cold ${kind}: time of an event at 50,000 to that at 10,000`,
      value: ratio(perEvent(50_000, kind), perEvent(10_000, kind)),
      limit: 1.25,
    },
  ]);
}

function killTargets(kills: readonly Kill[]): Target[] {
  const figures = distributionOf(kills.map(({ progressMs }) => progressMs));
  return [
    { name: 'kills survived unaided', value: kills.length, limit: 20, is: 'at_least' },
    { name: 'kill to next progress, p50, ms', value: figures.p50, limit: 3_000 },
    { name: 'kill to next progress, max, ms', value: figures.max, limit: 6_000 },
  ];
}
