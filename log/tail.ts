import type { SessionEvent, SessionEventType } from '../protocol/session-event.ts';
import { type Chain, resolveChain } from './chain.ts';
import { checkCursor } from './cursor.ts';
import { CursorAbandonedError } from './errors/cursor-abandoned-error.ts';
import { followRun, type Place, startOfRun } from './follow-run.ts';
import type { HistorySource } from './history-source.ts';
import { parsePosition, startOfEvent } from './position.ts';
import { projectRun } from './run-log.ts';
import type { Identity, RunState } from './run-state.ts';

export interface TailOptions {
  /** Only events after this position. Default: from the beginning. */
  readonly after?: string | undefined;
  /** Only events of these types. Default: all. */
  readonly types?: readonly SessionEventType[] | undefined;
  /** Ends the tail, without an error. */
  readonly signal?: AbortSignal | undefined;
}

/** The log as it grows: see `LogReader.tail`. */
export async function* tailLog(
  source: HistorySource,
  sessionId: string,
  options: TailOptions,
): AsyncGenerator<SessionEvent> {
  const { after, types, signal = new AbortController().signal } = options;
  const isWanted = (event: SessionEvent) => types === undefined || types.includes(event.type);
  const identities = new Map<number, readonly Identity[]>();
  let chain = await resolveChain(source, sessionId);
  let place = after === undefined ? startOfRun(0, []) : placeOfCursor(after, chain);
  for (;;) {
    let state: RunState | undefined;
    let closing: SessionEvent[] = [];
    for await (const followed of followRun(source, chain, { place, signal })) {
      state = followed.state;
      closing = followed.events.filter(isClosing);
      yield* followed.events.filter((event) => !isClosing(event) && isWanted(event));
    }
    if (signal.aborted || state === undefined) return;
    identities.set(place.run, state.identities);
    if (state.end?.type === 'continued') {
      chain = goOn(chain, place.run, state.end.next_run_id);
      place = startOfRun(place.run + 1, state.queued);
      continue;
    }
    const now = await resolveChain(source, sessionId);
    if (!isSuperseded(chain, now, place.run)) {
      yield* closing.filter(isWanted);
      return;
    }
    place = await placeAfterReset(source, { before: chain, now }, identities);
    chain = now;
  }
}

/** Held back until it is certain that the session ended, and not a branch of it by a reset. */
function isClosing(event: SessionEvent): boolean {
  return event.type === 'session.status_terminated';
}

function placeOfCursor(cursor: string, chain: Chain): Place {
  const position = parsePosition(cursor);
  const isLast = position.run === chain.runIds.length - 1;
  const isBeyond = position.run >= chain.runIds.length || (isLast && position.event > chain.length);
  if (isBeyond) throw new CursorAbandonedError(cursor, chain.sessionId);
  return {
    run: position.run,
    eventId: position.event,
    after: cursor,
    queued: position.run === 0 ? [] : undefined,
    check: (state) => checkCursor(cursor, position, { sessionId: chain.sessionId, state }),
  };
}

/** The roll-over names its successor, which the chain may know already. */
function goOn(chain: Chain, index: number, nextRunId: string): Chain {
  if (index + 1 < chain.runIds.length) return chain;
  return { ...chain, runIds: [...chain.runIds, nextRunId] };
}

/** Whether the session goes on in a run that took the place of the one that just closed. */
function isSuperseded(chain: Chain, now: Chain, index: number): boolean {
  return now.firstRunId === chain.firstRunId && now.runIds[index] !== chain.runIds[index];
}

/** A reset copies a run up to a point; what stands after that point in the copy is new. */
async function placeAfterReset(
  source: HistorySource,
  chains: { readonly before: Chain; readonly now: Chain },
  known: ReadonlyMap<number, readonly Identity[]>,
): Promise<Place> {
  const { before, now } = chains;
  const run = now.runIds.findIndex((runId, index) => runId !== before.runIds[index]);
  const identitiesOf = async ({ sessionId, runIds }: Chain) => {
    const pages = source.pages({ sessionId, runId: runIds[run] ?? '' });
    return (await projectRun(run, pages)).state.identities;
  };
  const old = known.get(run) ?? (await identitiesOf(before));
  const fork = (await identitiesOf(now)).find(
    ({ from_event, run_id }, index) =>
      old[index]?.from_event !== from_event || old[index]?.run_id !== run_id,
  );
  const from = fork?.from_event ?? 1;
  return {
    run,
    eventId: from - 1,
    after: startOfEvent(run, from),
    queued: run === 0 ? [] : undefined,
    check: () => {},
  };
}
