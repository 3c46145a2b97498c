import { join } from 'node:path';
import type { EnvironmentInput } from '../protocol/environment.ts';
import type { HandActivities } from '../protocol/hand.ts';
import { type BareHops, startBareLoop } from './baseline/bare-hops.ts';
import { distributionOf, medianOf, ratio } from './measure.ts';
import { progress, type Report, type Target } from './report.ts';
import { CUT_ANSWERS, createProbePlayer, type ProbePlayer } from './step/probe-player.ts';
import {
  noSamples,
  openProbeSession,
  type ProbeSession,
  type StepSamples,
} from './step/probe-session.ts';
import { startDroverWorker } from './world/drover-worker.ts';
import { serveHands } from './world/hands-worker.ts';
import { startWorld, type World } from './world/world.ts';

/** Baseline and product take turns, so that a slow minute of the machine touches both. */
const ROUNDS = 5;
const SENDS_PER_ROUND = 42;
const MODEL_TURNS_PER_ROUND = Math.ceil(SENDS_PER_ROUND / CUT_ANSWERS);
const TOOLS_PER_ROUND = 42;
const WARM_UP = 3;
const BUSY_SESSIONS = 50;
const BUSY_QUEUE = 'drover-hands-bench';
const UNCONFINED_QUEUE = 'drover-hands-unconfined';

const ISOLATED: EnvironmentInput = { name: 'isolated' };
const UNCONFINED: EnvironmentInput = { name: 'unconfined', task_queue: UNCONFINED_QUEUE };

/** What a durable step costs beside the model and the tool, hop by hop. */
export async function run(): Promise<Report> {
  let model: World['model'] | undefined;
  const probe = createProbePlayer((index) => model?.requests[index]?.atMs ?? Number.NaN);
  await using world = await startWorld({ player: probe.player });
  model = world.model;
  await startWorkers(world);
  const bare = await startBareLoop(world);

  const unconfined = noSamples();
  const sessions = [
    await openProbeSession(world, probe, {
      id: 'probe',
      environment: UNCONFINED,
      samples: unconfined,
    }),
  ];
  await warmUp(sessions);
  const isolated = await tryIsolated(world, probe);
  if (isolated.session !== undefined) sessions.push(isolated.session);
  clear(unconfined);

  for (let round = 1; round <= ROUNDS; round += 1) {
    await bare.measure(SENDS_PER_ROUND);
    await sessions[0]?.say(SENDS_PER_ROUND);
    await sessions[0]?.again(MODEL_TURNS_PER_ROUND);
    for (const session of sessions) await session.tool(TOOLS_PER_ROUND);
    progress(`round ${round} of ${ROUNDS}: send p50 ${medianOf(unconfined.sendToRequest)} ms`);
  }

  const busy = noSamples();
  await startBusySessions(world, probe);
  const among = await openProbeSession(world, probe, {
    id: 'among',
    environment: UNCONFINED,
    samples: busy,
  });
  await among.say(WARM_UP);
  clear(busy);
  await among.say(ROUNDS * SENDS_PER_ROUND);
  for (const session of [...sessions, among]) await session.close();
  return toReport({ bare: bare.hops, unconfined, isolated, busy });
}

/** The product's own processes: one with all roles, one whose hands are not isolated. */
async function startWorkers(world: World): Promise<void> {
  const shared = { address: world.address, modelUrl: world.model.url };
  const all = await startDroverWorker({ ...shared, folder: world.folder, roles: 'all' });
  world.defer(() => all.stop());
  const hands = await startDroverWorker({
    ...shared,
    folder: join(world.folder, 'unconfined'),
    roles: 'hands',
    sandbox: 'unconfined',
    handsTaskQueue: UNCONFINED_QUEUE,
  });
  world.defer(() => hands.stop());
}

async function warmUp(sessions: readonly ProbeSession[]): Promise<void> {
  for (const session of sessions) {
    await session.say(WARM_UP);
    await session.again(WARM_UP);
    await session.tool(WARM_UP);
  }
}

interface Isolated {
  readonly session?: ProbeSession;
  readonly samples: StepSamples;
  /** Why there is none on this machine. */
  readonly missing?: string;
}

async function tryIsolated(world: World, probe: ProbePlayer): Promise<Isolated> {
  const samples = noSamples();
  const session = await openProbeSession(world, probe, {
    id: 'isolated',
    environment: ISOLATED,
    samples,
  });
  try {
    await session.tool(WARM_UP);
  } catch (error) {
    return { samples, missing: error instanceof Error ? error.message : String(error) };
  }
  clear(samples);
  return { session, samples };
}

/** Sessions whose model speaks for six seconds, calls a tool that takes no time, and speaks again. */
async function startBusySessions(world: World, probe: ProbePlayer): Promise<void> {
  await serveHands(world, BUSY_QUEUE, instantHand);
  const { sessions } = world.drover;
  for (let index = 0; index < BUSY_SESSIONS; index += 1) {
    const message = `busy ${index}`;
    await sessions.create(
      {
        agent: { name: 'busy', tools: [{ type: 'agent_toolset_20260401' }] },
        environment: { name: 'bench', provider: 'bench', task_queue: BUSY_QUEUE },
        initial_events: message,
      },
      { id: `busy-${index}` },
    );
    await probe.stamps(message, 0).request;
  }
  progress(`${BUSY_SESSIONS} sessions are busy`);
}

const instantHand: HandActivities = {
  provision: async ({ hand }) => ({ hand: { ...hand, provider: 'bench', instance: 'bench' } }),
  execute: async ({ call }) => ({
    events: [{ type: 'agent.tool_result', tool_use_id: call.id, content: [] }],
  }),
  release: async () => {},
};

function clear(samples: StepSamples): void {
  for (const list of Object.values(samples)) list.length = 0;
}

interface Measured {
  readonly bare: BareHops;
  readonly unconfined: StepSamples;
  readonly isolated: Isolated;
  readonly busy: StepSamples;
}

function toReport({ bare, unconfined, isolated, busy }: Measured): Report {
  const ms = (samples: readonly number[]) => distributionOf(samples);
  const isIsolated = isolated.session !== undefined;
  return {
    bench: 'step',
    figures: {
      send_to_model_request_ms: ms(unconfined.sendToRequest),
      send_to_model_request_ms_among_50: ms(busy.sendToRequest),
      send_to_recorded_ms: ms(unconfined.sendToRecorded),
      model_step_overhead_ms: ms(unconfined.modelStep),
      bash_step_overhead_ms_isolated: isIsolated ? ms(isolated.samples.toolStep) : null,
      bash_step_overhead_ms_unconfined: ms(unconfined.toolStep),
      answer_to_message_at_reader_ms: ms(unconfined.answerToMessage),
      answer_to_tool_use_at_reader_ms: ms(unconfined.answerToToolUse),
      hands: isIsolated
        ? 'local, isolated; local, unconfined'
        : `local, unconfined (${isolated.missing})`,
      busy_sessions: BUSY_SESSIONS,
    },
    targets: toTargets({ bare, unconfined, isolated, busy }),
    baseline: {
      bare_update_to_activity_ms: ms(bare.updateToStartMs),
      bare_hop_ms: ms(bare.hopMs),
      bare_hop_on_another_queue_ms: ms(bare.hopElsewhereMs),
    },
  };
}

function toTargets({ bare, unconfined, isolated, busy }: Measured): Target[] {
  const toolStep = isolated.session === undefined ? unconfined.toolStep : isolated.samples.toolStep;
  const p50 = medianOf;
  return [
    {
      name: 'send to model request, idle, p50, ms',
      value: p50(unconfined.sendToRequest),
      limit: 12,
    },
    {
      name: 'send to model request, idle, p99, ms',
      value: distributionOf(unconfined.sendToRequest).p99,
      limit: 40,
    },
    {
      name: 'send to model request, among 50 sessions, p50, ms',
      value: p50(busy.sendToRequest),
      limit: 40,
    },
    { name: 'bash step, p50, ms', value: p50(toolStep), limit: 35 },
    {
      name: 'answer to agent.message at a reader, p50, ms',
      value: p50(unconfined.answerToMessage),
      limit: 10,
    },
    {
      name: 'answer to agent.tool_use at a reader, p50, ms',
      value: p50(unconfined.answerToToolUse),
      limit: 10,
    },
    {
      name: 'send hop to bare hop, p50',
      value: ratio(p50(unconfined.sendToRequest), p50(bare.updateToStartMs)),
      limit: 1.5,
    },
    {
      name: 'model step to bare hop, p50',
      value: ratio(p50(unconfined.modelStep), p50(bare.hopMs)),
      limit: 1.5,
    },
    {
      name: 'bash step to its two bare hops, p50',
      value: ratio(p50(toolStep), p50(bare.hopElsewhereMs) + p50(bare.hopMs)),
      limit: 1.5,
    },
    { name: 'sends measured', value: unconfined.sendToRequest.length, limit: 200, is: 'at_least' },
  ];
}
