import type { LogReader } from '../log/log-reader.ts';
import type { EventOfType } from '../protocol/session-event.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';
import { SessionEndedError } from './errors/session-ended-error.ts';
import { WaitTimeoutError } from './errors/wait-timeout-error.ts';

export interface WaitOptions {
  /** Id of the event one sent: only an idle after it counts, never the present one. */
  readonly after: string;
  /** Default: no limit. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const PAGE = 200;

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

/** Searched from the end: what one waits for was sent lately. */
async function positionOf(log: LogReader, sessionId: string, eventId: string): Promise<string> {
  let before: string | undefined;
  for (;;) {
    const events = await log.read(sessionId, {
      order: 'desc',
      limit: PAGE,
      ...(before === undefined ? {} : { before }),
    });
    const found = events.find((event) => event.id === eventId);
    if (found !== undefined) return found.position;
    before = events.at(-1)?.position;
    if (before === undefined) {
      throw new InvalidInputError(
        `after: session "${sessionId}" has no event "${eventId}"; give an id that send returned`,
      );
    }
  }
}
