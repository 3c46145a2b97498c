import type { LogReader } from '../log/log-reader.ts';
import type { EventOfType } from '../protocol/session-event.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';
import { SessionEndedError } from './errors/session-ended-error.ts';
import { WaitTimeoutError } from './errors/wait-timeout-error.ts';
import { findEvent } from './find-event.ts';

export interface WaitOptions {
  /** Id of the event one sent: only an idle after it counts, never the present one. */
  readonly after: string;
  /** Default: no limit. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Resolves with the first `session.status_idle` after the named event.
 * @throws SessionEndedError when the session ends first
 * @throws WaitTimeoutError after `timeoutMs`
 */
export async function waitUntilIdle(
  log: LogReader,
  sessionId: string,
  options: WaitOptions,
): Promise<EventOfType<'session.status_idle'>> {
  const { timeoutMs } = options;
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const signals = [options.signal, timeout].filter((signal) => signal !== undefined);
  const signal = AbortSignal.any(signals);
  const after = await positionOf(log, sessionId, options.after);
  try {
    for await (const event of log.tail(sessionId, { after, types: CLOSING, signal })) {
      if (event.type === 'session.status_idle') return event;
      if (event.type === 'session.status_terminated') throw new SessionEndedError(sessionId);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  options.signal?.throwIfAborted();
  if (timeoutMs !== undefined && timeout?.aborted) throw new WaitTimeoutError(sessionId, timeoutMs);
  throw new SessionEndedError(sessionId);
}

const CLOSING = ['session.status_idle', 'session.status_terminated'] as const;

async function positionOf(log: LogReader, sessionId: string, eventId: string): Promise<string> {
  const event = await findEvent(log, sessionId, eventId);
  if (event !== undefined) return event.position;
  throw new InvalidInputError(
    `after: session "${sessionId}" has no event "${eventId}"; give an id that send returned`,
  );
}
