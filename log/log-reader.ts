import type { SessionResource } from '../protocol/session.ts';
import type { SessionEvent } from '../protocol/session-event.ts';
import { resolveChain } from './chain.ts';
import { createHistorySource, type LogDependencies } from './history-source.ts';
import { readSlice, type SliceOptions } from './read-slice.ts';
import { toResource } from './resource.ts';
import { projectRun } from './run-log.ts';
import { type TailOptions, tailLog } from './tail.ts';

/** Reads sessions from their histories alone: running or closed, with or without a worker. */
export interface LogReader {
  /**
   * Any slice of the log. Positions are the only cursors.
   *
   * @throws SessionNotFoundError, RunNotRetainedError, CursorMalformedError, CursorAbandonedError
   */
  read(sessionId: string, options?: SliceOptions): Promise<SessionEvent[]>;
  /**
   * The log from `after` (default: its beginning), and then as it grows, over roll-overs and
   * resets, until the session has terminated or `signal` aborts; then it just ends.
   *
   * Each event is given once, in order, with one exception: a user event that no model step has
   * seen comes at once with `processed_at: null`, and again, same id and position, when it is known.
   * After a reset the tail goes on with what the new run recorded; user events that the reset put
   * back come again, same id, at their new position. To resume, pass the greatest position received.
   *
   * @throws as `read`
   */
  tail(sessionId: string, options?: TailOptions): AsyncIterable<SessionEvent>;
  /** The session as a resource, by the rules of `toResource`. @throws SessionNotFoundError */
  session(sessionId: string): Promise<SessionResource>;
}

export function createLogReader(deps: LogDependencies): LogReader {
  const source = createHistorySource(deps);
  return {
    async read(sessionId, options = {}) {
      return readSlice(source, await resolveChain(source, sessionId), options);
    },
    tail: (sessionId, options = {}) => tailLog(source, sessionId, options),
    async session(sessionId) {
      const { runId } = await source.currentRun(sessionId);
      const run = await projectRun(0, source.pages({ sessionId, runId }));
      return toResource(sessionId, run.state);
    },
  };
}
