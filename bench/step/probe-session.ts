import type { AgentInput } from '../../protocol/agent.ts';
import type { EnvironmentInput } from '../../protocol/environment.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { withDeadline } from '../deadline.ts';
import type { World } from '../world/world.ts';
import { answerTo, CUT_ANSWERS, callIdOf, type ProbePlayer } from './probe-player.ts';

const AGENT: AgentInput = { name: 'probe', tools: [{ type: 'agent_toolset_20260401' }] };
const TIMEOUT_MS = 60_000;

/** What one session was seen to take, in milliseconds. */
export interface StepSamples {
  /** From `send` to the request at the model server. */
  readonly sendToRequest: number[];
  /** From `send` to its answer: the event is in the log. */
  readonly sendToRecorded: number[];
  /** From the end of an answer to the next request, nothing in between. */
  readonly modelStep: number[];
  /** From the end of an answer that calls bash to the request that carries the result. */
  readonly toolStep: number[];
  /** From the end of an answer to its event at a tailing reader. */
  readonly answerToMessage: number[];
  readonly answerToToolUse: number[];
}

export function noSamples(): StepSamples {
  return {
    sendToRequest: [],
    sendToRecorded: [],
    modelStep: [],
    toolStep: [],
    answerToMessage: [],
    answerToToolUse: [],
  };
}

export interface ProbeSession {
  say(count: number): Promise<void>;
  again(count: number): Promise<void>;
  tool(count: number): Promise<void>;
  close(): Promise<void>;
}

/** A session that is tailed, and spoken to once it is idle. Adds to `samples`. */
export async function openProbeSession(
  world: World,
  probe: ProbePlayer,
  options: {
    readonly id: string;
    readonly environment: EnvironmentInput;
    readonly samples: StepSamples;
  },
): Promise<ProbeSession> {
  const { id, environment, samples } = options;
  const { sessions } = world.drover;
  await sessions.create({ agent: AGENT, environment }, { id });
  const tail = watch(world, id);
  await tail.idle(0);
  let sent = 0;

  /** Sends one message, and resolves when the turn it opened has ended. */
  async function turn(verb: string, onSent: (message: string) => Promise<void>): Promise<void> {
    sent += 1;
    const message = `${verb} ${id} ${sent}`;
    const before = performance.now();
    const sending = sessions.send(id, message).then(() => performance.now());
    const requestAt = await tail.orFailure(probe.stamps(message, 0).request, message);
    samples.sendToRequest.push(requestAt - before);
    samples.sendToRecorded.push((await sending) - before);
    await onSent(message);
    await tail.idle(sent);
  }

  return {
    say: (count) =>
      times(count, () =>
        turn('say', async (message) => {
          const answeredAt = await probe.stamps(message, 0).answered;
          samples.answerToMessage.push((await tail.seen(answerTo(message))) - answeredAt);
        }),
      ),
    again: (count) =>
      times(count, () =>
        turn('again', async (message) => {
          for (let step = 0; step < CUT_ANSWERS; step += 1) {
            const answeredAt = await probe.stamps(message, step).answered;
            const next = probe.stamps(message, step + 1).request;
            samples.modelStep.push((await tail.orFailure(next, message)) - answeredAt);
          }
        }),
      ),
    tool: (count) =>
      times(count, () =>
        turn('tool', async (message) => {
          const answeredAt = await probe.stamps(message, 0).answered;
          const next = probe.stamps(message, 1).request;
          samples.toolStep.push((await tail.orFailure(next, message)) - answeredAt);
          samples.answerToToolUse.push((await tail.seen(callIdOf(message))) - answeredAt);
        }),
      ),
    close: () => tail.close(),
  };
}

async function times(count: number, work: () => Promise<void>): Promise<void> {
  for (let index = 0; index < count; index += 1) await work();
}

/** Stamps what a tail brings, by the words of a message or the id of a call. */
function watch(world: World, id: string) {
  const stop = new AbortController();
  const seenAt = new Map<string, PromiseWithResolvers<number>>();
  const stampOf = (key: string) => {
    const known = seenAt.get(key) ?? Promise.withResolvers<number>();
    seenAt.set(key, known);
    return known;
  };
  let turnsEnded = -1; // a session without input is idle once before its first turn
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {}); // shown to whoever waits
  const ended = (async () => {
    for await (const event of world.drover.sessions.tail(id, { signal: stop.signal })) {
      const atMs = performance.now();
      if (event.type === 'session.status_idle') {
        turnsEnded += 1;
        stampOf(`idle ${turnsEnded}`).resolve(atMs);
      }
      const key = keyOf(event);
      if (key !== undefined) stampOf(key).resolve(atMs);
    }
  })().catch(failure.reject);
  const orFailure = <Result>(work: Promise<Result>, what: string) =>
    withDeadline(Promise.race([work, failure.promise]), TIMEOUT_MS, `sign of "${what}"`);
  return {
    orFailure,
    seen: (key: string) => orFailure(stampOf(key).promise, key),
    idle: (turn: number) => orFailure(stampOf(`idle ${turn}`).promise, `end of turn ${turn}`),
    async close() {
      stop.abort();
      await ended;
    },
  };
}

/** @throws Error on an error of the session: what follows would be measured wrong */
function keyOf(event: SessionEvent): string | undefined {
  switch (event.type) {
    case 'agent.message':
      return event.content.map(({ text }) => text).join('');
    case 'agent.tool_use':
      return event.id;
    case 'agent.tool_result':
      if (event.is_error === true)
        throw new Error(`a tool failed: ${JSON.stringify(event.content)}`);
      return undefined;
    case 'session.error':
      throw new Error(event.error.message);
    default:
      return undefined;
  }
}
