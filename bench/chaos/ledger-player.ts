import { digest } from '../../k8s/hand-labels.ts';
import type { Player, RehearsalRequest } from '../../rehearsal/player.ts';
import { calls, says } from '../../rehearsal/script.ts';
import { createRandomSource } from './random-source.ts';

/** Model steps of a session that call bash. */
const STEPS = 20;
/** Each so many steps there are two calls at once. */
const PAIR_EVERY = 4;
const SECONDS = [0, 0.1, 0.3, 1, 2.5] as const;

/** What a session is told to begin: its own name, for the model to number its commands by. */
export function firstMessage(sessionId: string): string {
  return `go ${sessionId}`;
}

/**
 * A model that writes one numbered line after the other, whatever their results, until its session
 * is full or all is over.
 */
export function createLedgerPlayer(options: {
  commandFor(key: string, seconds: number): string;
  isOver(): boolean;
}): Player {
  return (request) => {
    const step = request.messages.filter(({ role }) => role === 'assistant').length;
    if (step >= STEPS || options.isOver()) return says('Done.');
    const session = sessionOf(request);
    const lines = step % PAIR_EVERY === PAIR_EVERY - 1 ? ['a', 'b'] : ['a'];
    return says(
      lines.map((line) => {
        const key = `${session}/${step}${line}`;
        return calls('bash', { command: options.commandFor(key, secondsOf(key)) });
      }),
    );
  };
}

/** The same for the same line, so that a run can be repeated. */
function secondsOf(key: string): number {
  return createRandomSource(Number.parseInt(digest(key).slice(0, 8), 16)).pick(SECONDS);
}

function sessionOf({ messages }: RehearsalRequest): string {
  const found = /"go ([\w-]+)"/.exec(JSON.stringify(messages[0]?.content));
  if (found?.[1] === undefined) throw new Error('the first message names no session');
  return found[1];
}
