import type { SessionEvent } from '../protocol/session-event.ts';
import type { HistoryEvent } from './history-event.ts';
import { comparePositions } from './position.ts';
import { project } from './project.ts';
import { type McpList, type RunState, startRun } from './run-state.ts';

/** One run's part of the log, in log order, and the state after it. */
export interface RunLog {
  readonly state: RunState;
  readonly events: readonly SessionEvent[];
}

/** Projects a run from its pages of history, which arrive in order. */
export async function projectRun(
  runIndex: number,
  pages: AsyncIterable<readonly HistoryEvent[]>,
): Promise<RunLog> {
  let state = startRun(runIndex);
  const events: SessionEvent[] = [];
  for await (const page of pages) {
    const projected = project(state, page);
    state = projected.state;
    mergeEvents(events, projected.events);
  }
  return { state, events };
}

/** Appends to a log in place; an event that it holds already is replaced. */
export function mergeEvents(log: SessionEvent[], events: readonly SessionEvent[]): void {
  for (const event of events) {
    const last = log.at(-1);
    if (last === undefined || comparePositions(last.position, event.position) < 0) log.push(event);
    else log[indexAtOrAfter(log, event.position)] = event;
  }
}

/** Index of the first event that does not stand before `position`. */
export function indexAtOrAfter(log: readonly SessionEvent[], position: string): number {
  let low = 0;
  let high = log.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const event = log[middle];
    if (event !== undefined && comparePositions(event.position, position) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Joins runs that were projected apart, oldest first: what one left queued is seen by the first
 * model step of a later one. The state goes on from the last.
 */
export function joinRuns(runs: readonly RunLog[]): RunLog {
  const events: SessionEvent[] = [];
  let queued: readonly SessionEvent[] = [];
  let state = startRun(0);
  let mcpLists: readonly McpList[] = [];
  for (const run of runs) {
    events.push(...run.events);
    const time = run.state.first_step_at;
    if (time !== null) {
      mergeEvents(
        events,
        queued.map((event) => ({ ...event, processed_at: time })),
      );
      queued = [];
    }
    queued = [...queued, ...run.state.queued];
    mcpLists = [...mcpLists, ...run.state.mcp_lists];
    state = run.state;
  }
  return { events, state: { ...state, queued, mcp_lists: mcpLists } };
}
