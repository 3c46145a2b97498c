import type { LogReader, TailOptions } from '../../log/index.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { waitFor } from './wait-for.ts';

export interface WatchedTail {
  /** Everything received so far. */
  readonly events: readonly SessionEvent[];
  /** Settles when the tail ends by itself. */
  readonly ended: Promise<void>;
  /** The first event received, now or later, that is wanted. */
  next(isWanted: (event: SessionEvent) => boolean): Promise<SessionEvent>;
  /** Aborts the tail and waits for its end. */
  stop(): Promise<void>;
}

/** Reads a tail in the background. */
export function watchTail(
  reader: LogReader,
  sessionId: string,
  options: Omit<TailOptions, 'signal'> = {},
): WatchedTail {
  const abort = new AbortController();
  const events: SessionEvent[] = [];
  const ended = (async () => {
    for await (const event of reader.tail(sessionId, { ...options, signal: abort.signal })) {
      events.push(event);
    }
  })();
  return {
    events,
    ended,
    next: (isWanted) => waitFor('an event of the tail', () => events.find(isWanted)),
    async stop() {
      abort.abort();
      await ended;
    },
  };
}
