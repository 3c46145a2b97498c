import type { LogReader } from '../../log/index.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { waitFor } from './wait-for.ts';

/** The log, once a model has seen that many user messages and the session is idle after them. */
export function waitForIdle(
  reader: LogReader,
  sessionId: string,
  messages: number,
): Promise<SessionEvent[]> {
  return waitFor(`${messages} answered messages in ${sessionId}`, async () => {
    const events = await reader.read(sessionId);
    const said = events.filter((event) => event.type === 'user.message');
    const isSeen = said.length >= messages && said.every((event) => event.processed_at !== null);
    return isSeen && events.at(-1)?.type === 'session.status_idle' ? events : undefined;
  });
}
