import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { TASK_QUEUE } from '../../protocol/task-queue.ts';
import type { Player } from '../../rehearsal/player.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import type { World } from '../world/world.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

const TIMEOUT_MS = 60_000;

/** A model that calls `bash: true` as often as the last user message says, one after the other. */
export const trueCaller: Player = fromConversation(({ messages }) => {
  const said = messages.findLastIndex(
    ({ role, content }) => role === 'user' && JSON.stringify(content).includes('"true '),
  );
  const wanted = Number(/"true (\d+)"/.exec(JSON.stringify(messages[said]?.content))?.[1]);
  const step = messages.slice(said).filter(({ role }) => role === 'assistant').length;
  return step < wanted ? says([calls('bash', { command: 'true' })]) : says('Done.');
});

export interface TrueSession {
  /** Has it run `true` so often. */
  run(times: number): Promise<void>;
  /** From the scheduling of each call to the scheduling of the model step that gets its result. */
  callMs(): Promise<number[]>;
  close(): Promise<void>;
}

/** A session of the product whose hand is in a cluster. */
export async function openTrueSession({ drover, client }: World, id: string): Promise<TrueSession> {
  const { sessions } = drover;
  await sessions.create(
    {
      agent: { name: 'exec', tools: [{ type: 'agent_toolset_20260401' }] },
      environment: { provider: 'kubernetes' },
    },
    { id },
  );
  return {
    async run(times) {
      const { event_ids } = await sessions.send(id, `true ${times}`);
      await sessions.waitUntilIdle(id, { after: event_ids[0] ?? '', timeoutMs: TIMEOUT_MS });
    },
    callMs: () => gapsOn(client, id, TASK_QUEUE.hands),
    async close() {
      await sessions.archive(id);
      await client.workflow
        .getHandle(id)
        .result()
        .catch(() => {});
    },
  };
}

/**
 * By the server's clock: from the scheduling of each activity of a queue to that of the activity
 * that its result causes; what an update causes is another row.
 */
export async function gapsOn(client: Client, id: string, taskQueue: string): Promise<number[]> {
  const { events } = await client.workflow.getHandle(id).fetchHistory();
  const gaps: number[] = [];
  let before: number | undefined;
  for (const event of events ?? []) {
    if (event.workflowExecutionUpdateAcceptedEventAttributes) before = undefined;
    const { activityTaskScheduledEventAttributes: scheduled } = event;
    if (!scheduled) continue;
    const atMs = timeOf(event);
    if (before !== undefined) gaps.push(atMs - before);
    before = scheduled.taskQueue?.name === taskQueue ? atMs : undefined;
  }
  return gaps;
}

function timeOf({ eventTime }: HistoryEvent): number {
  return Number(eventTime?.seconds ?? 0) * 1_000 + Number(eventTime?.nanos ?? 0) / 1e6;
}
