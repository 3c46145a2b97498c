import proto, { type temporal } from '@temporalio/proto';
import { expect } from 'vitest';
import type { SessionEvent } from '../../protocol/session-event.ts';

const { EVENT_TYPE_WORKFLOW_TASK_FAILED } = proto.temporal.api.enums.v1.EventType;
/** Something arrived while the task ended the run: it is taken up again. */
const { WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND } =
  proto.temporal.api.enums.v1.WorkflowTaskFailedCause;

/** What must hold of a session's log whatever was done to it. */
export function checkLog(events: readonly SessionEvent[], accepted: readonly string[]): void {
  const ids = events.map(({ id }) => id);
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  expect(accepted.filter((id) => !ids.includes(id))).toEqual([]);
  const positions = events.map(({ position }) => position);
  expect([...positions].sort()).toEqual(positions);
  expect(callsWithoutOneResult(events)).toEqual([]);
  expect(events.filter(({ processed_at }) => processed_at === null)).toEqual([]);
  // The stand-in model refuses a conversation in which a call has no result, or two.
  expect(errors(events).filter((message) => / 4\d\d /.test(message))).toEqual([]);
}

function errors(events: readonly SessionEvent[]): string[] {
  return events.flatMap((event) => (event.type === 'session.error' ? [event.error.message] : []));
}

function callsWithoutOneResult(events: readonly SessionEvent[]): string[] {
  const results = new Map<string, number>();
  const uses: string[] = [];
  for (const event of events) {
    if (event.type === 'agent.tool_use' || event.type === 'agent.custom_tool_use') {
      uses.push(event.id);
    }
    const of =
      event.type === 'agent.tool_result'
        ? event.tool_use_id
        : event.type === 'user.custom_tool_result'
          ? event.custom_tool_use_id
          : undefined;
    if (of !== undefined) results.set(of, (results.get(of) ?? 0) + 1);
  }
  return uses.filter((id) => results.get(id) !== 1).map((id) => `${id}: ${results.get(id) ?? 0}`);
}

/** Commands that ran more than once, or not although their result says so. */
export function wrongRuns(events: readonly SessionEvent[], ran: readonly string[]): string[] {
  const twice = ran.filter((id, index) => ran.indexOf(id) !== index);
  const said = events.flatMap((event) => {
    const text = event.type === 'agent.tool_result' ? JSON.stringify(event.content) : '';
    return /ran (toolu_\w+)/.exec(text)?.[1] ?? [];
  });
  return [...twice.map((id) => `${id} twice`), ...said.filter((id) => !ran.includes(id))];
}

/** Messages of workflow tasks that failed by a fault of ours. */
export function failedTasks(history: temporal.api.history.v1.IHistory): string[] {
  return (history.events ?? []).flatMap(
    ({ eventType, workflowTaskFailedEventAttributes: failed }) =>
      eventType === EVENT_TYPE_WORKFLOW_TASK_FAILED &&
      failed?.cause !== WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
        ? [failed?.failure?.message ?? 'failed']
        : [],
  );
}
