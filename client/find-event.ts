import type { LogReader } from '../log/log-reader.ts';
import type { SessionEvent } from '../protocol/session-event.ts';

const PAGE = 200;

/** Searched from the end: what one asks for was mostly sent lately. */
export async function findEvent(
  log: LogReader,
  sessionId: string,
  eventId: string,
): Promise<SessionEvent | undefined> {
  let before: string | undefined;
  do {
    const page = before === undefined ? {} : { before };
    const events = await log.read(sessionId, { order: 'desc', limit: PAGE, ...page });
    const found = events.find((event) => event.id === eventId);
    if (found !== undefined) return found;
    before = events.at(-1)?.position;
  } while (before !== undefined);
  return undefined;
}
