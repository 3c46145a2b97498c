import type { WorkflowClient } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import type { ExecuteInput, ExecuteResult } from '../../protocol/hand.ts';
import { ACTIVITY } from '../../protocol/model-step.ts';

/** What one sandbox was used for by a session, as the session's history tells. */
export interface HandUse {
  readonly instance: string;
  /** When it last gave a result that was its own. */
  readonly lastServedMs: number;
  /** What the first call said that was told of its loss. */
  readonly lostCall: string | null;
}

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** In the order of first use, over all runs of the session. */
export async function readHandUses(client: WorkflowClient, id: string): Promise<HandUse[]> {
  const uses = new Map<string, HandUse>();
  for (const run of await readRuns(client, id)) addRun(uses, run);
  return [...uses.values()];
}

function addRun(uses: Map<string, HandUse>, events: readonly HistoryEvent[]): void {
  /** Instance by the id of the event that scheduled a call. */
  const asked = new Map<string, string>();
  for (const event of events) {
    const { activityTaskScheduledEventAttributes: scheduled } = event;
    if (scheduled?.activityType?.name === ACTIVITY.execute) {
      const { instance } = read<ExecuteInput>(scheduled.input?.payloads?.[0]).hand;
      asked.set(String(event.eventId), instance);
      if (!uses.has(instance)) uses.set(instance, { instance, lastServedMs: 0, lostCall: null });
    }
    const { activityTaskCompletedEventAttributes: completed } = event;
    const use = uses.get(asked.get(String(completed?.scheduledEventId)) ?? '');
    if (use === undefined) continue;
    const result = read<ExecuteResult>(completed?.result?.payloads?.[0]);
    uses.set(use.instance, withResult(use, result, timeOf(event)));
  }
}

function withResult(use: HandUse, { events, lost }: ExecuteResult, atMs: number): HandUse {
  if (lost === undefined) return { ...use, lastServedMs: atMs };
  const text = (events[0].content ?? []).map((block) => (block.type === 'text' ? block.text : ''));
  return { ...use, lostCall: use.lostCall ?? text.join('') };
}

async function readRuns(client: WorkflowClient, id: string): Promise<HistoryEvent[][]> {
  const runs: HistoryEvent[][] = [];
  let runId: string | undefined;
  do {
    const { events } = await client.getHandle(id, runId).fetchHistory();
    runs.unshift(events ?? []);
    const started = events?.[0]?.workflowExecutionStartedEventAttributes;
    runId = started?.continuedExecutionRunId || undefined;
  } while (runId !== undefined);
  return runs;
}

function read<Value>(payload: Payload | null | undefined): Value {
  if (payload === null || payload === undefined) throw new Error('an event has no payload');
  return defaultPayloadConverter.fromPayload(payload) as Value;
}

function timeOf({ eventTime }: HistoryEvent): number {
  return Number(eventTime?.seconds ?? 0) * 1_000 + Number(eventTime?.nanos ?? 0) / 1e6;
}
