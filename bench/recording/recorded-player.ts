import type { MessageTurn, Player, Turn } from '../../rehearsal/player.ts';
import { says } from '../../rehearsal/script.ts';
import { createTurnFinder } from './place.ts';
import { callsOf, type RecordedTurn, type Recording, turnsOf } from './recording.ts';

const DELTA_CHARACTERS = 2_000;

/**
 * Plays the answers of a recording. Turns that the user stopped are spoken and then held open until
 * the client goes away; `onHeld` says that it is time to interrupt. A broken turn breaks its
 * connection at the first attempt and is held at the next.
 */
export function createRecordedPlayer(
  recording: Recording,
  onHeld: (turnIndex: number) => void,
): Player {
  const findTurn = createTurnFinder(recording);
  const turns = turnsOf(recording);
  const goesOnByItself = continuesByItself(recording);
  const broken = new Set<number>();
  return (request) => {
    const index = findTurn(request);
    const turn = index === undefined ? undefined : turns[index];
    if (index === undefined || turn === undefined) {
      throw new Error(`${recording.name} has no turn for this conversation`);
    }
    if (turn.end === 'complete') return complete(turn, goesOnByItself.has(turn));
    if (turn.end === 'broken' && !broken.has(index)) {
      broken.add(index);
      return { ...spoken(turn), ends: { type: 'drop', afterEvents: 2 } };
    }
    return held(turn, () => onHeld(index));
  };
}

/**
 * Turns without calls that another turn follows at once. A session goes on by itself only after an
 * answer that was cut at the output limit, so that is how they end here.
 */
export function continuesByItself({ items }: Recording): ReadonlySet<RecordedTurn> {
  return new Set(
    items.flatMap((item, index) => {
      if (item.type !== 'turn' || item.end !== 'complete' || callsOf(item).length > 0) return [];
      return items[index + 1]?.type === 'turn' ? [item] : [];
    }),
  );
}

function complete(turn: RecordedTurn, goesOn: boolean): Turn {
  return { ...spoken(turn), ...(goesOn ? { stop_reason: 'max_tokens' } : {}) };
}

function held(turn: RecordedTurn, onHeld: () => void): Turn {
  const heldEvent = turn.blocks.length === 0 ? 'message_start' : 'message_delta';
  return {
    ...spoken(turn),
    pace: ({ type }) => {
      if (type !== heldEvent) return Promise.resolve();
      onHeld();
      return new Promise(() => {});
    },
  };
}

function spoken(turn: RecordedTurn): MessageTurn {
  return says(turn.blocks, { deltaCharacters: DELTA_CHARACTERS });
}
