import type { HeldHands } from '../protocol/messages.ts';
import type { HandToken } from './hand-token.ts';
import { Refusal } from './refusal.ts';

export interface HeldHandsReader {
  /**
   * Whether a session holds the hand that a token is of. What was asked less than 5 s ago is not asked
   * again: so long a hand that was given up is still believed.
   *
   * @throws {Refusal} It does not, or nobody can tell.
   */
  check(token: HandToken): Promise<void>;
}

/** What a session answers; undefined when there is none that is open. */
export type AskSession = (sessionId: string) => Promise<HeldHands | undefined>;

const BELIEVED_MS = 5_000;

export function createHeldHands(ask: AskSession): HeldHandsReader {
  const known = new Map<
    string,
    { readonly at: number; readonly held: Promise<HeldHands | undefined> }
  >();

  const heldBy = (sessionId: string): Promise<HeldHands | undefined> => {
    const now = Date.now();
    const last = known.get(sessionId);
    if (last !== undefined && now - last.at < BELIEVED_MS) return last.held;
    for (const [id, { at }] of known) if (now - at >= BELIEVED_MS) known.delete(id);
    const held = ask(sessionId);
    known.set(sessionId, { at: now, held });
    // A failure is not believed: who comes next asks again.
    held.catch(() => {
      if (known.get(sessionId)?.held === held) known.delete(sessionId);
    });
    return held;
  };

  return {
    async check({ session, chain_id, name, generation }) {
      const held = await heldBy(session).catch((error: unknown) => {
        const words = `session ${toLine(session)} cannot be asked whether it holds this hand still`;
        throw new Refusal({ status: 503, reason: 'not-held', words, cause: error });
      });
      if (held?.chain_id === chain_id && held.generations[name] === generation) return;
      const words = `session ${toLine(session)} does not hold this hand any more`;
      throw new Refusal({ status: 403, reason: 'not-held', words });
    },
  };
}

/** Words go into a status line. */
function toLine(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
