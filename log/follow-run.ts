import type { SessionEvent } from '../protocol/session-event.ts';
import type { Chain } from './chain.ts';
import { eventIdOf, type HistoryEvent } from './history-event.ts';
import type { HistorySource } from './history-source.ts';
import { comparePositions, startOfEvent } from './position.ts';
import { project } from './project.ts';
import { projectRun } from './run-log.ts';
import { type RunState, startRun } from './run-state.ts';

/** Where in the log to go on. */
export interface Place {
  readonly run: number;
  /** Events up to this position have been given out. */
  readonly after: string;
  /** History event that `after` belongs to. */
  readonly eventId: number;
  /** User events of earlier runs that no step has seen; undefined when they were not read. */
  readonly queued: readonly SessionEvent[] | undefined;
  /** Called once with the state at the place; throws when the place is not in this log. */
  readonly check: (state: RunState) => void;
}

export function startOfRun(run: number, queued: readonly SessionEvent[]): Place {
  return { run, eventId: 0, after: startOfEvent(run, 0), queued, check: () => {} };
}

export interface Followed {
  readonly state: RunState;
  readonly events: readonly SessionEvent[];
}

/**
 * One run from a place on, live until it closes or `signal` aborts. The history up to the place is
 * folded apart from the rest, so that an event which was queued there comes again when it is seen.
 */
export async function* followRun(
  source: HistorySource,
  chain: Chain,
  at: { readonly place: Place; readonly signal: AbortSignal },
): AsyncGenerator<Followed> {
  const { place, signal } = at;
  const runId = chain.runIds[place.run] ?? '';
  let state = startRun(place.run, place.queued);
  let isThere = false;
  for await (const page of source.follow({ sessionId: chain.sessionId, runId }, signal)) {
    const past = project(state, eventsUpTo(page, place.eventId));
    state = past.state;
    const news = page.filter((event) => eventIdOf(event) > place.eventId);
    if (!isThere && (news.length > 0 || state.last_event_id >= place.eventId)) {
      place.check(state);
      if (place.queued === undefined && state.first_step_at === null) {
        state = {
          ...state,
          queued: [...(await queuedBefore(source, chain, place.run)), ...state.queued],
        };
      }
      isThere = true;
    }
    const fresh = project(state, news);
    state = fresh.state;
    const rest = past.events.filter((event) => comparePositions(event.position, place.after) > 0);
    yield { state, events: mergeSettled(rest, fresh.events) };
  }
  if (!isThere && !signal.aborted) place.check(state);
}

/** Events that are given out for the first time stand in order, even if they are settled at once. */
function mergeSettled(
  rest: readonly SessionEvent[],
  fresh: readonly SessionEvent[],
): readonly SessionEvent[] {
  if (rest.length === 0) return fresh;
  const byPosition = new Map(fresh.map((event) => [event.position, event]));
  const given = new Set(rest.map((event) => event.position));
  return [
    ...rest.map((event) => byPosition.get(event.position) ?? event),
    ...fresh.filter((event) => !given.has(event.position)),
  ];
}

function eventsUpTo(page: readonly HistoryEvent[], eventId: number): readonly HistoryEvent[] {
  return eventId === 0 ? [] : page.filter((event) => eventIdOf(event) <= eventId);
}

/** What earlier runs left for the first model step of run `index`. */
async function queuedBefore(
  source: HistorySource,
  chain: Chain,
  index: number,
): Promise<SessionEvent[]> {
  const queued: SessionEvent[] = [];
  for (let earlier = index - 1; earlier >= 0; earlier -= 1) {
    const runId = chain.runIds[earlier] ?? '';
    const { state } = await projectRun(earlier, source.pages({ ...chain, runId }));
    queued.unshift(...state.queued);
    if (state.first_step_at !== null) break;
  }
  return queued;
}
