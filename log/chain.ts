import { SessionInput } from '../protocol/session.ts';
import type { HistoryEvent } from './history-event.ts';
import type { HistorySource, Run } from './history-source.ts';
import { readFirst } from './read-payload.ts';

/** The runs of a session that make up its log, oldest first. */
export interface Chain {
  readonly sessionId: string;
  readonly firstRunId: string;
  readonly runIds: readonly string[];
  /** Id of the last history event of the last run, when the chain was resolved. */
  readonly length: number;
}

/** The chain as it is now. Runs that a reset abandoned are not on it. */
export async function resolveChain(source: HistorySource, sessionId: string): Promise<Chain> {
  const { runId, firstRunId, length } = await source.currentRun(sessionId);
  return { sessionId, firstRunId, length, runIds: await runIdsUpTo(source, { sessionId, runId }) };
}

/**
 * The chain that ends in a given run, walked backwards: forwards from the first run it would end,
 * after a reset, in an abandoned branch. A roll-over carries the ids of its predecessors, so one
 * step is enough, and predecessors that are gone still have their place.
 */
export async function runIdsUpTo(source: HistorySource, run: Run): Promise<readonly string[]> {
  const runIds = [run.runId];
  for (;;) {
    const [oldest = ''] = runIds;
    const event = await source.firstEvent({ sessionId: run.sessionId, runId: oldest });
    const previous = event?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
    if (!previous) return runIds;
    const carried = carriedRunIds(event);
    if (carried.at(-1) === previous) return [...carried, ...runIds];
    runIds.unshift(previous);
  }
}

function carriedRunIds(event: HistoryEvent | undefined): readonly string[] {
  const attributes = event?.workflowExecutionStartedEventAttributes;
  const parsed = SessionInput.safeParse(readFirst(attributes?.input));
  return parsed.data?.continued?.run_ids ?? [];
}
