import { randomBytes } from 'node:crypto';
import type { HandActivities, ToolCall } from '../protocol/hand.ts';
import type { Player, RehearsalRequest } from '../rehearsal/player.ts';
import { calls, fromConversation, says } from '../rehearsal/script.ts';
import { type NaiveEnd, type NaiveMessage, runNaiveLoop } from './baseline/naive-loop.ts';
import { distributionOf, medianOf, ratio } from './measure.ts';
import { progress, type Report } from './report.ts';
import { startDroverWorker } from './world/drover-worker.ts';
import { serveHands } from './world/hands-worker.ts';
import { readSessionHistory, type SessionHistory } from './world/session-history.ts';
import { startWorld, type World } from './world/world.ts';

/** Tool steps of one turn: more than a whole-transcript loop can have. */
const STEPS = 200;
const OUTPUT_BYTES = 5_000;
const SESSIONS = 3;
/** Steps around the 10th and the 200th whose latency is compared. */
const EARLY = [5, 15] as const;
const LATE = [190, 200] as const;
const HANDS_QUEUE = 'drover-hands-bench';
const TIMEOUT_MS = 180_000;

/**
 * What a long turn costs in history: tool steps with outputs of 5 kB, against the loop that passes
 * its messages to the model step.
 */
export async function run(): Promise<Report> {
  const outputs = Array.from({ length: STEPS }, () =>
    randomBytes(OUTPUT_BYTES / 2).toString('hex'),
  );
  const answeredMs = new Map<string, number>();
  await using world = await startWorld({ player: playSteps() });
  await serveHands(world, HANDS_QUEUE, createBenchHand(outputs, answeredMs));
  const worker = await startDroverWorker({
    address: world.address,
    folder: world.folder,
    modelUrl: world.model.url,
    roles: 'brain',
  });
  world.defer(() => worker.stop());

  const histories: SessionHistory[] = [];
  for (let index = 0; index < SESSIONS; index += 1) {
    histories.push(await runSession(world, `history-${index}`));
    progress(`session ${index + 1} of ${SESSIONS}: ${histories.at(-1)?.bytes} bytes of history`);
  }
  const naive = await runNaiveLoop(world, naiveSteps(outputs));
  progress(`the naive loop ${naive.status} after ${naive.steps} steps, ${naive.bytes} bytes`);
  return toReport(histories, naive, stepLatencies(world, answeredMs));
}

function playSteps(): Player {
  return fromConversation((request) => {
    const step = countResults(request.messages);
    if (step >= STEPS) return says('All steps are done.');
    return says([calls('bash', { command: `step ${step}` }, callId(sessionOf(request), step))]);
  });
}

function countResults(messages: Iterable<{ readonly content?: unknown }>): number {
  let count = 0;
  for (const { content } of messages) {
    if (!Array.isArray(content)) continue;
    for (const block of content) if (block?.type === 'tool_result') count += 1;
  }
  return count;
}

/** The first words said name the session. */
function sessionOf({ messages }: RehearsalRequest): string {
  const first = messages[0]?.content?.[0];
  return typeof first === 'object' && first.type === 'text' ? first.text : '';
}

function callId(sessionId: string, step: number): string {
  return `toolu_${sessionId}_${step}`;
}

function createBenchHand(
  outputs: readonly string[],
  answeredMs: Map<string, number>,
): HandActivities {
  return {
    provision: async ({ hand }) => ({ hand: { ...hand, provider: 'bench', instance: 'bench' } }),
    async execute({ call }) {
      answeredMs.set(call.id, performance.now());
      const content = [{ type: 'text' as const, text: outputOf(outputs, call) }];
      return { events: [{ type: 'agent.tool_result', tool_use_id: call.id, content }] };
    },
    release: async () => {},
  };
}

function outputOf(outputs: readonly string[], { input }: Pick<ToolCall, 'input'>): string {
  return outputs[Number(String(input['command']).split(' ')[1])] ?? '';
}

async function runSession(world: World, sessionId: string): Promise<SessionHistory> {
  const { sessions } = world.drover;
  const created = await sessions.create(
    {
      agent: { name: 'history', tools: [{ type: 'agent_toolset_20260401' }] },
      environment: { name: 'bench', provider: 'bench', task_queue: HANDS_QUEUE },
      initial_events: sessionId,
    },
    { id: sessionId },
  );
  const [after = ''] = created.event_ids;
  const idle = await sessions.waitUntilIdle(sessionId, { after, timeoutMs: TIMEOUT_MS });
  if (idle.stop_reason.type !== 'end_turn') {
    throw new Error(`session ${sessionId} ended its turn with ${idle.stop_reason.type}`);
  }
  return readSessionHistory(world.client, sessionId);
}

/** The same steps for the naive loop, without a model server: its history is what counts. */
function naiveSteps(outputs: readonly string[]) {
  return {
    nextInput: async (index: number) => (index === 0 ? ['history-naive'] : null),
    async respond(messages: readonly NaiveMessage[]) {
      const step = countResults(messages);
      if (step >= STEPS) {
        return {
          content: [{ type: 'text', text: 'All steps are done.' }],
          calls: [],
          goes_on: false,
        };
      }
      const call = {
        type: 'tool_use' as const,
        id: callId('history-naive', step),
        name: 'bash',
        input: { command: `step ${step}` },
      };
      return { content: [call], calls: [call], goes_on: true };
    },
    execute: async (call: { readonly id: string; readonly input: ToolCall['input'] }) => ({
      type: 'tool_result' as const,
      tool_use_id: call.id,
      content: [{ type: 'text', text: outputOf(outputs, call) }],
    }),
  };
}

/** By step: from the moment its hand answers to the head of the next model request. */
function stepLatencies(world: World, answeredMs: ReadonlyMap<string, number>): number[][] {
  const latencies: number[][] = [];
  for (const { body, headAtMs } of world.model.requests) {
    const step = countResults(body.messages);
    const answered = answeredMs.get(callId(sessionOf(body), step - 1));
    if (answered === undefined) continue;
    latencies[step] = [...(latencies[step] ?? []), headAtMs - answered];
  }
  return latencies;
}

function toReport(
  histories: readonly SessionHistory[],
  naive: NaiveEnd,
  latencies: readonly (readonly number[])[],
): Report {
  const [history] = histories;
  if (history === undefined) throw new Error('no session ran');
  const bytesAt = (step: number) => history.bytesAtStep[step - 1] ?? Number.NaN;
  const bytesAtNaiveEnd = bytesAt(naive.steps);
  const firstHalf = bytesAt(STEPS / 2) - bytesAt(1);
  const secondHalf = bytesAt(STEPS) - bytesAt(STEPS / 2 + 1);
  const early = latencies.slice(...EARLY).flat();
  const late = latencies.slice(...LATE).flat();
  return {
    bench: 'history',
    figures: {
      steps: STEPS,
      tool_output_bytes: OUTPUT_BYTES,
      model_requests: history.bytesAtStep.length,
      runs: history.runs,
      history_events: history.events,
      history_bytes: history.bytes,
      history_bytes_per_step: Math.round(history.bytes / STEPS),
      history_bytes_when_naive_ended: bytesAtNaiveEnd,
      second_half_to_first_half: ratio(secondHalf, firstHalf),
      result_to_request_ms_at_step_10: distributionOf(early),
      result_to_request_ms_at_step_200: distributionOf(late),
    },
    targets: [
      {
        name: 'bytes of the naive history for each of ours, at the step where the naive loop ends',
        value: ratio(naive.bytes, bytesAtNaiveEnd),
        limit: 40,
        is: 'at_least',
      },
      {
        name: 'growth of the second half to the first half',
        value: ratio(secondHalf, firstHalf),
        limit: 1.1,
      },
      {
        name: 'model requests of one turn',
        value: history.bytesAtStep.length,
        limit: STEPS + 1,
        is: 'equal',
      },
      {
        name: 'latency of a model step at 200 to that at 10',
        value: ratio(medianOf(late), medianOf(early)),
        limit: 1.5,
      },
      {
        name: 'the server ended the naive loop',
        value: Number(naive.status === 'TERMINATED'),
        limit: 1,
        is: 'equal',
      },
    ],
    baseline: { naive_loop: naive },
  };
}
