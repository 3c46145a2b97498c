/**
 * Identity of events, minted before the event exists and independent of its position.
 * A user event is named by its sender's update id, so that it survives a reset and can be known
 * before the answer; everything else by the run and the history event that caused it.
 */

/** Id of item `item` (0-based) of a `send` update. */
export function userEventId(updateId: string, item: number): string {
  return `sevt_${updateId}_${item}`;
}

/**
 * Id of item `item` of what a history event contributes. For an activity `eventId` is the id of its
 * ActivityTaskScheduled event, which the running attempt can know; for others the event's own id.
 */
export function historyEventId(runId: string, eventId: number, item: number): string {
  return `sevt_${runId}_${eventId}_${item}`;
}

const MAX_UPDATE_ID_LENGTH = 256;
const HISTORY_EVENT = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_\d+$/i;

/** What is wrong with the id that a sender gave an update, in words, or undefined. */
export function checkUpdateId(updateId: string): string | undefined {
  if (updateId.length > MAX_UPDATE_ID_LENGTH) {
    return `update id: ${updateId.length} characters; at most ${MAX_UPDATE_ID_LENGTH} are allowed`;
  }
  if (HISTORY_EVENT.test(updateId)) {
    return 'update id: must not be a run id and a number, which name events of the session itself';
  }
  return undefined;
}
