import { setTimeout as delay } from 'node:timers/promises';
import type { Player, RehearsalRequest } from '../../rehearsal/player.ts';
import { calls, says, text } from '../../rehearsal/script.ts';

/** What a model takes by itself until its first token; a common one. */
export const MODEL_MS = 500;

export interface FirstTokenPlayer {
  readonly player: Player;
  /** When the first token of a session left the model server, by `performance.now()`. */
  firstToken(sessionId: string): Promise<number>;
  /** Until it resolves, the model is not asked: as if it were asked only then. */
  hold(sessionId: string, until: Promise<unknown>): void;
}

/** First message of a session that uses a tool, or does not. */
export function firstMessage(sessionId: string, usesTool: boolean): string {
  return `${usesTool ? 'work' : 'talk'} ${sessionId}`;
}

/** A model that says a few words, calls bash if that is asked for, and is done. */
export function createFirstTokenPlayer(): FirstTokenPlayer {
  const tokens = new Map<string, PromiseWithResolvers<number>>();
  const held = new Map<string, Promise<unknown>>();
  const tokenOf = (session: string): PromiseWithResolvers<number> => {
    const known = tokens.get(session) ?? Promise.withResolvers<number>();
    tokens.set(session, known);
    return known;
  };
  return {
    firstToken: (session) => tokenOf(session).promise,
    hold: (session, until) => void held.set(session, until),
    player: async (request) => {
      const { verb, session, step } = placeOf(request);
      if (step > 0) return says('Done.');
      await held.get(session);
      await delay(MODEL_MS);
      const words = text('I shall look into it.');
      const blocks = verb === 'work' ? [words, calls('bash', { command: 'true' })] : [words];
      return says(blocks, {
        pace: async ({ type }) => {
          if (type === 'content_block_delta') tokenOf(session).resolve(performance.now());
        },
      });
    },
  };
}

function placeOf({ messages }: RehearsalRequest): {
  readonly verb: string;
  readonly session: string;
  readonly step: number;
} {
  const found = /"(work|talk) ([\w-]+)"/.exec(JSON.stringify(messages[0]?.content));
  const [, verb = '', session = ''] = found ?? [];
  const step = messages.filter(({ role }) => role === 'assistant').length;
  return { verb, session, step };
}
