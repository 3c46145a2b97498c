import { CursorAbandonedError } from './errors/cursor-abandoned-error.ts';
import { type Position, runTag } from './position.ts';
import { identityAt, type RunState } from './run-state.ts';

/**
 * Whether a cursor stands in the log as it is: the run that recorded it is still the one that
 * stands at its place.
 *
 * @param state of the run at the cursor's index, undefined when the chain has no such run
 * @throws CursorAbandonedError
 */
export function checkCursor(
  cursor: string,
  position: Position,
  at: { readonly sessionId: string; readonly state: RunState | undefined },
): void {
  const { sessionId, state } = at;
  const isRecorded = state !== undefined && position.event <= state.last_event_id;
  if (isRecorded && runTag(identityAt(state, position.event)) === position.tag) return;
  throw new CursorAbandonedError(cursor, sessionId);
}
