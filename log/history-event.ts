import type { temporal } from '@temporalio/proto';
import proto from '@temporalio/proto';

export type HistoryEvent = temporal.api.history.v1.IHistoryEvent;
export type Payload = temporal.api.common.v1.IPayload;
export type Payloads = temporal.api.common.v1.IPayloads;
export type Failure = temporal.api.failure.v1.IFailure;

/** 64-bit integers arrive as numbers or as Long objects. */
type Integer = { toNumber(): number } | number | null | undefined;

export const { EventType, WorkflowTaskFailedCause, TimeoutType } = proto.temporal.api.enums.v1;

export function toNumber(value: Integer): number {
  if (typeof value === 'number') return value;
  return value?.toNumber() ?? 0;
}

export function eventIdOf(event: HistoryEvent): number {
  return toNumber(event.eventId);
}

/** RFC 3339 with milliseconds. */
export function eventTimeOf(event: HistoryEvent): string {
  const { seconds, nanos } = event.eventTime ?? {};
  return new Date(toNumber(seconds) * 1_000 + (nanos ?? 0) / 1_000_000).toISOString();
}

/**
 * Workflow-task events say nothing to the log, and speculative ones may be read twice, vanish, and
 * have their ids reused by real events: readers drop them before they look at ids. A task failed by
 * a reset stays, it is never speculative and names the run that goes on.
 */
export function isWorkflowTaskNoise(event: HistoryEvent): boolean {
  switch (event.eventType) {
    case EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
    case EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
    case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
    case EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
      return true;
    case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
      return (
        event.workflowTaskFailedEventAttributes?.cause !==
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
      );
    default:
      return false;
  }
}
