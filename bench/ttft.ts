import { EnvironmentDefinition } from '../protocol/environment.ts';
import { type HandInstance, MAIN_HAND } from '../protocol/hand.ts';
import { type BenchCluster, openBenchCluster } from './cluster/bench-cluster.ts';
import { startClusterWorker } from './cluster/start-cluster-worker.ts';
import { readTemporalNamespace } from './cluster/temporal-namespace.ts';
import { withDeadline } from './deadline.ts';
import { distributionOf, percentileOf, ratio } from './measure.ts';
import { progress, type Report } from './report.ts';
import {
  createFirstTokenPlayer,
  type FirstTokenPlayer,
  firstMessage,
  MODEL_MS,
} from './ttft/first-token-player.ts';
import { startWorld, type World } from './world/world.ts';

/** Of each way; each third of them uses no tool. */
const SESSIONS = 60;
const BATCH = 12;
const AT_ONCE = 6;
const TIMEOUT_MS = 180_000;
const ENVIRONMENT = { provider: 'kubernetes', config: { memory_mib: 384 } } as const;

type Way = 'eager' | 'lazy';

interface Stage {
  readonly world: World;
  readonly bench: BenchCluster;
  readonly model: FirstTokenPlayer;
}

/** Time to the first token when each session has its sandbox first, and when only tools ask for one. */
export async function run(): Promise<Report> {
  const model = createFirstTokenPlayer();
  await using world = await startWorld({ player: model.player });
  await using bench = await openBenchCluster(await readTemporalNamespace(world));
  await startClusterWorker(world, bench);
  const stage = { world, bench, model };
  const firstTokens: Record<Way, number[]> = { eager: [], lazy: [] };
  await runSession(stage, 'lazy', 'warm-up', true);
  for (let first = 0; first < SESSIONS; first += BATCH) {
    for (const way of ['eager', 'lazy'] as const) {
      firstTokens[way].push(...(await runBatch(stage, way, first)));
      progress(`${first + BATCH} ${way}: ${percentileOf(firstTokens[way], 0.5)} ms`);
    }
  }
  return toReport(firstTokens);
}

function toReport({ eager, lazy }: Record<Way, number[]>): Report {
  const figures = (samples: readonly number[]) => ({
    ...distributionOf(samples),
    p95: percentileOf(samples, 0.95),
  });
  const left = (share: number) => ratio(percentileOf(lazy, share), percentileOf(eager, share));
  return {
    bench: 'ttft',
    figures: { lazy_first_token_ms: figures(lazy), model_alone_ms: MODEL_MS, at_once: AT_ONCE },
    targets: [
      { name: 'first token when lazy, p50, as a share of eager', value: left(0.5), limit: 0.4 },
      { name: 'first token when lazy, p95, as a share of eager', value: left(0.95), limit: 0.1 },
    ],
    baseline: { eager_first_token_ms: figures(eager) },
  };
}

/** So many at once, the next one as soon as one has ended. */
async function runBatch(stage: Stage, way: Way, first: number): Promise<number[]> {
  const indices = Array.from({ length: BATCH }, (_, index) => first + index);
  const samples: number[] = [];
  const runLane = async (): Promise<void> => {
    for (let index = indices.shift(); index !== undefined; index = indices.shift()) {
      samples.push(await runSession(stage, way, `${way}-${index}`, index % 3 !== 0));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, runLane));
  return samples;
}

/** @returns the milliseconds from asking for the session to its first token. */
async function runSession(stage: Stage, way: Way, id: string, usesTool: boolean): Promise<number> {
  const { sessions } = stage.world.drover;
  const sandbox = Promise.withResolvers<HandInstance | null>();
  stage.model.hold(id, sandbox.promise);
  const start = performance.now();
  const { run_id, event_ids } = await sessions.create(
    { environment: ENVIRONMENT, initial_events: firstMessage(id, usesTool) },
    { id },
  );
  sandbox.resolve(way === 'eager' ? provision(stage, id, run_id) : null);
  const firstToken = stage.model.firstToken(id);
  const ms = (await withDeadline(firstToken, TIMEOUT_MS, `first token of ${id}`)) - start;
  await sessions.waitUntilIdle(id, { after: event_ids[0] ?? '', timeoutMs: TIMEOUT_MS });
  await expectOneSandbox(stage.world, id, await sandbox.promise);
  await sessions.archive(id);
  await stage.world.client.workflow
    .getHandle(id)
    .result()
    .catch(() => {});
  const hand = await sandbox.promise;
  if (hand !== null) await stage.bench.release(hand);
  return ms;
}

/** Makes the sandbox that the session's first call would make, which then finds it. */
async function provision({ bench }: Stage, id: string, runId: string): Promise<HandInstance> {
  const hand = { session_id: id, chain_id: runId, name: MAIN_HAND, generation: 1 };
  const definition = EnvironmentDefinition.parse(ENVIRONMENT);
  const { instance } = await bench.provider.provision({
    hand,
    environment: { id: null, version: null, definition },
    resources: [],
  });
  return { ...hand, provider: 'kubernetes', instance };
}

/** An eager sandbox that its session does not use would be measured for nothing. */
async function expectOneSandbox(
  { drover }: World,
  id: string,
  eager: HandInstance | null,
): Promise<void> {
  const { hands } = await drover.sessions.get(id);
  const used = Object.values(hands).map(({ instance }) => instance);
  const strange = eager === null ? undefined : used.find((instance) => instance !== eager.instance);
  if (strange !== undefined) throw new Error(`${id} works in another sandbox than it was given`);
}
