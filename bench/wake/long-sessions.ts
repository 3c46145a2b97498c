import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { NativeConnection } from '@temporalio/worker';
import type { HandActivities } from '../../protocol/hand.ts';
import type { BrainActivities, RespondResult } from '../../protocol/model-step.ts';
import type { ModelRequestEnd } from '../../protocol/session-event.ts';
import { createBrainWorker } from '../../workers/create-worker.ts';
import { loadWorkflowBundle } from '../../workers/workflow-bundle.ts';
import { serveHands } from '../world/hands-worker.ts';
import type { World } from '../world/world.ts';

const HANDS_QUEUE = 'drover-hands-bench';
/** Side by side, so that a history of 50,000 events is there within a minute. */
const CALLS_PER_STEP = 8;
/** What a step with so many calls makes at least: three events for each activity, and workflow tasks. */
const MIN_EVENTS_PER_STEP = 33;
/** As the server would suggest it, by its default. */
const STEPS_PER_RUN = Math.ceil(4_096 / MIN_EVENTS_PER_STEP);
/** Makes an event about half a kilobyte on average, as in recorded sessions. */
const OUTPUT = 'x'.repeat(1_000);
const TIMEOUT_MS = 600_000;

/**
 * Real sessions of at least so many history events, with activities that answer at once: what is
 * measured later is reading them. Resolves when all are idle.
 */
export async function makeLongSessions(
  world: World,
  sizes: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  const connection = await NativeConnection.connect({ address: world.address });
  const worker = await createBrainWorker({
    connection,
    namespace: 'default',
    bundlePath: await loadWorkflowBundle(join(world.folder, 'cache')),
    activities: cannedBrain,
  });
  await serveHands(world, HANDS_QUEUE, cannedHand);
  const ids = new Map<number, string>();
  await worker.runUntil(async () => {
    await Promise.all(
      sizes.map(async (size) => {
        ids.set(size, await makeSession(world, size));
      }),
    );
  });
  await connection.close();
  return ids;
}

async function makeSession({ drover }: World, size: number): Promise<string> {
  const steps = Math.ceil(size / MIN_EVENTS_PER_STEP);
  const id = `long-${size}-${steps}`;
  const created = await drover.sessions.create(
    {
      agent: { name: 'long', tools: [{ type: 'agent_toolset_20260401' }] },
      environment: { name: 'bench', provider: 'bench', task_queue: HANDS_QUEUE },
      initial_events: 'go',
    },
    { id },
  );
  const [after = ''] = created.event_ids;
  const idle = await drover.sessions.waitUntilIdle(id, { after, timeoutMs: TIMEOUT_MS });
  if (idle.stop_reason.type !== 'end_turn') throw new Error(`${id}: ${idle.stop_reason.type}`);
  return id;
}

const cannedBrain: BrainActivities = {
  async respond({ step }): Promise<RespondResult> {
    const { workflowId = '' } = Context.current().info.workflowExecution ?? {};
    const steps = Number(workflowId.split('-').at(-1));
    if (step > steps) return { events: [end('end_turn')] };
    const uses = Array.from({ length: CALLS_PER_STEP }, (_, index) => ({
      type: 'agent.tool_use' as const,
      id: `toolu_${step}_${index}`,
      name: 'bash',
      input: { command: `make part-${index}` },
      evaluated_permission: 'allow' as const,
    }));
    const isLastOfRun = step % STEPS_PER_RUN === 0;
    return {
      events: [...uses, end('tool_use')],
      ...(isLastOfRun ? { roll_over_suggested: true } : {}),
    };
  },
  record: async (input) => input,
  resolve: async () => ({}),
};

const cannedHand: HandActivities = {
  provision: async ({ hand }) => ({ hand: { ...hand, provider: 'bench', instance: 'bench' } }),
  execute: async ({ call }) => ({
    events: [
      {
        type: 'agent.tool_result',
        tool_use_id: call.id,
        content: [{ type: 'text', text: OUTPUT }],
      },
    ],
  }),
  release: async () => {},
};

function end(stopReason: 'tool_use' | 'end_turn'): ModelRequestEnd {
  return {
    type: 'span.model_request_end',
    model_request_start_id: '',
    is_error: false,
    model_usage: {
      input_tokens: 1,
      output_tokens: 1,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
    },
    model: 'canned',
    stop_reason: stopReason,
    request_id: null,
    assumptions: [],
  };
}
