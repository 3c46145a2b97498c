import type { OpenCall } from '../protocol/session.ts';
import type { SessionEvent } from '../protocol/session-event.ts';
import type { OpenActivity, RunState } from './run-state.ts';

type Collections = 'updates' | 'activities' | 'calls' | 'early_answers' | 'queued' | 'identities';

interface Queued {
  event: SessionEvent;
  /** Where it stands in this batch's output; undefined when an earlier batch gave it out. */
  readonly index?: number;
}

/** A run's state opened for one batch of history: changed in place, never seen outside the fold. */
export type RunDraft = {
  -readonly [Key in Exclude<keyof RunState, Collections>]: RunState[Key];
} & {
  identities: RunState['identities'];
  readonly updates: RunState['updates'];
  /** Those of this batch. Apart, so that a small batch copies nothing that grows with the run. */
  readonly newUpdates: string[];
  readonly activities: Map<number, OpenActivity>;
  readonly calls: Map<string, OpenCall>;
  readonly early_answers: Set<string>;
  queued: Queued[];
  /** What the batch contributes to the log. */
  readonly events: SessionEvent[];
};

export function openDraft(state: RunState): RunDraft {
  return {
    ...state,
    newUpdates: [],
    activities: new Map(
      Object.entries(state.activities).map(([id, activity]) => [Number(id), activity]),
    ),
    calls: new Map(state.calls.map((call) => [call.id, call])),
    early_answers: new Set(state.early_answers),
    queued: state.queued.map((event) => ({ event })),
    events: [],
  };
}

export function closeDraft(draft: RunDraft): { state: RunState; events: SessionEvent[] } {
  const { events, newUpdates, ...rest } = draft;
  const state: RunState = {
    ...rest,
    updates: newUpdates.length === 0 ? draft.updates : [...draft.updates, ...newUpdates],
    activities: Object.fromEntries(draft.activities),
    calls: [...draft.calls.values()],
    early_answers: [...draft.early_answers],
    queued: draft.queued.map(({ event }) => event),
  };
  return { state, events };
}
