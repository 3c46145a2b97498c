import { setTimeout as delay } from 'node:timers/promises';
import type { Player, RehearsalRequest, Turn } from '../../rehearsal/player.ts';
import { calls, says } from '../../rehearsal/script.ts';

/** When the model server saw a request, and when it wrote the end of its answer. */
export interface Stamps {
  readonly request: Promise<number>;
  readonly answered: Promise<number>;
}

export interface ProbePlayer {
  readonly player: Player;
  /** Stamps of the `step`-th request (from 0) that a user message causes. */
  stamps(message: string, step: number): Stamps;
}

/** Answers of one message that are cut at the output limit, each followed by another request. */
export const CUT_ANSWERS = 3;

/**
 * A busy session's model speaks for about six seconds, character by character: a recorded session
 * takes over twenty seconds for a turn.
 */
const BUSY_EVENT_MS = 250;

/**
 * A model that does what the first word of the last user message says: `say` answers, `tool` calls
 * bash once and then answers, `again` is cut three times and then answers, `busy` speaks slowly and
 * calls bash for ever.
 */
export function createProbePlayer(receivedMs: (requestIndex: number) => number): ProbePlayer {
  const settled = new Map<string, ReturnType<typeof createStamps>>();
  const stampsOf = (key: string) => {
    const known = settled.get(key) ?? createStamps();
    settled.set(key, known);
    return known;
  };
  return {
    stamps: (message, step) => stampsOf(`${message}#${step}`),
    player: (request, { index }) => {
      const { message, step } = placeOf(request);
      const stamps = stampsOf(`${message}#${step}`);
      stamps.onRequest(receivedMs(index));
      const turn = turnFor(message, step);
      if (turn.type !== 'message' || turn.pace !== undefined) return turn;
      return {
        ...turn,
        pace: async ({ type }) => {
          if (type === 'message_stop') stamps.onAnswered(performance.now());
        },
      };
    },
  };
}

export function answerTo(message: string): string {
  return `answer to ${message}`;
}

export function callIdOf(message: string): string {
  return `toolu_${message.replaceAll(' ', '_')}`;
}

function turnFor(message: string, step: number): Turn {
  const [verb] = message.split(' ');
  if (verb === 'tool' && step === 0) {
    return says([calls('bash', { command: 'true' }, callIdOf(message))]);
  }
  if (verb === 'again' && step < CUT_ANSWERS) {
    return says(`part ${step}`, { stop_reason: 'max_tokens' });
  }
  if (verb === 'busy') {
    return says([calls('bash', { command: 'true' }, `${callIdOf(message)}_${step}`)], {
      deltaCharacters: 1,
      pace: () => delay(BUSY_EVENT_MS),
    });
  }
  return says(answerTo(message));
}

/** The last message of a user, notes of the harness apart, and the answers since. */
function placeOf({ messages }: RehearsalRequest): { message: string; step: number } {
  let message = '';
  let step = 0;
  for (const { role, content } of messages) {
    if (role === 'assistant') step += 1;
    if (role !== 'user' || !Array.isArray(content)) continue;
    for (const block of content) {
      if (block.type !== 'text' || block.text.startsWith('[')) continue;
      message = block.text;
      step = 0;
    }
  }
  return { message, step };
}

function createStamps() {
  const request = Promise.withResolvers<number>();
  const answered = Promise.withResolvers<number>();
  return {
    request: request.promise,
    answered: answered.promise,
    onRequest: request.resolve,
    onAnswered: answered.resolve,
  };
}
