import type { Client } from '@temporalio/client';
import { ACTIVITY } from '../../protocol/model-step.ts';

/** What a session's history weighs, over all its runs. */
export interface SessionHistory {
  readonly runs: number;
  readonly events: number;
  readonly bytes: number;
  /** Bytes of history when model step `index + 1` was asked for, as the server counted them. */
  readonly bytesAtStep: readonly number[];
}

interface RunHistory {
  readonly previousRunId: string | undefined;
  readonly events: number;
  readonly bytes: number;
  readonly bytesAtStep: readonly number[];
}

export async function readSessionHistory(
  client: Client,
  sessionId: string,
): Promise<SessionHistory> {
  const runs: RunHistory[] = [];
  let runId: string | undefined;
  do {
    const run = await readRun(client, sessionId, runId);
    runs.unshift(run);
    runId = run.previousRunId;
  } while (runId !== undefined);
  let bytes = 0;
  const bytesAtStep: number[] = [];
  for (const run of runs) {
    const before = bytes;
    bytesAtStep.push(...run.bytesAtStep.map((size) => before + size));
    bytes += run.bytes;
  }
  const events = runs.reduce((sum, run) => sum + run.events, 0);
  return { runs: runs.length, events, bytes, bytesAtStep };
}

async function readRun(
  client: Client,
  sessionId: string,
  runId: string | undefined,
): Promise<RunHistory> {
  const handle = client.workflow.getHandle(sessionId, runId);
  const { historySize = 0 } = await handle.describe();
  const { events } = await handle.fetchHistory();
  const bytesAtStep: number[] = [];
  let size = 0;
  for (const event of events ?? []) {
    const started = event.workflowTaskStartedEventAttributes;
    if (started) size = Number(started.historySizeBytes ?? size);
    const name = event.activityTaskScheduledEventAttributes?.activityType?.name;
    if (name === ACTIVITY.respond) bytesAtStep.push(size);
  }
  const previous = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
  return {
    previousRunId: previous ? previous : undefined,
    events: events?.length ?? 0,
    bytes: historySize,
    bytesAtStep,
  };
}
