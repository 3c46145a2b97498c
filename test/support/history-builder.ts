import proto from '@temporalio/proto';
import { EventType, type Failure, type HistoryEvent } from '../../log/history-event.ts';
import { payloadConverter } from '../../protocol/payload-converter.ts';
import { SEARCH_ATTRIBUTES } from '../../protocol/search-attributes.ts';

const { WorkflowTaskFailedCause } = proto.temporal.api.enums.v1;

/** A made-up history of one run, event by event. Every method adds one and gives its id. */
export interface HistoryBuilder {
  readonly events: readonly HistoryEvent[];
  started(
    input: unknown,
    attributes?: HistoryEvent['workflowExecutionStartedEventAttributes'],
  ): number;
  accepted(updateId: string, input: unknown, name?: string): number;
  /** An update accepted after a reset: its request stands in the admitted event. */
  acceptedWithoutRequest(updateId: string): number;
  admitted(updateId: string, input: unknown): number;
  signaled(input: unknown, name?: string): number;
  scheduled(name: string, input?: unknown): number;
  attempted(scheduledId: number, attempt: number, lastFailure?: Failure): number;
  completed(scheduledId: number, result?: unknown): number;
  failed(scheduledId: number, failure: Failure): number;
  timedOut(scheduledId: number, failure: Failure): number;
  canceled(scheduledId: number): number;
  status(status: string, stopReason?: string | null): number;
  reset(newRunId: string): number;
  /** Any other event. */
  add(event: HistoryEvent): number;
}

export const RUN = '00000000-0000-4000-8000-0000000000aa';

/** Event ids count from 1; event `n` happened `n` seconds into the epoch. */
export function buildHistory(): HistoryBuilder {
  const events: HistoryEvent[] = [];
  const payloads = (value: unknown) =>
    value === undefined ? {} : { payloads: [payloadConverter.toPayload(value)] };
  const add = (event: HistoryEvent): number => {
    const eventId = events.length + 1;
    const eventTime = { seconds: eventId, nanos: 0 };
    events.push({ eventId, eventTime, ...event } as unknown as HistoryEvent);
    return eventId;
  };
  const long = (value: number) => value as unknown as null;
  const keyword = (value: unknown) => payloadConverter.toPayload(value);
  const request = (updateId: string, name: string, input: unknown) => ({
    meta: { updateId },
    input: { name, args: payloads(input) },
  });
  return {
    events,
    add,
    started: (input, attributes) =>
      add({
        eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        workflowExecutionStartedEventAttributes: {
          originalExecutionRunId: RUN,
          input: payloads(input),
          ...attributes,
        },
      }),
    accepted: (updateId, input, name = 'send') =>
      add({
        eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        workflowExecutionUpdateAcceptedEventAttributes: {
          acceptedRequest: request(updateId, name, input),
        },
      }),
    acceptedWithoutRequest: (protocolInstanceId) =>
      add({
        eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        workflowExecutionUpdateAcceptedEventAttributes: { protocolInstanceId },
      }),
    admitted: (updateId, input) =>
      add({
        eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED,
        workflowExecutionUpdateAdmittedEventAttributes: {
          request: request(updateId, 'send', input),
        },
      }),
    signaled: (input, signalName = 'send') =>
      add({
        eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        workflowExecutionSignaledEventAttributes: { signalName, input: payloads(input) },
      }),
    scheduled: (name, input) =>
      add({
        eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        activityTaskScheduledEventAttributes: {
          activityId: String(events.length),
          activityType: { name },
          input: payloads(input),
        },
      }),
    attempted: (scheduledId, attempt, lastFailure) =>
      add({
        eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
        activityTaskStartedEventAttributes: {
          scheduledEventId: long(scheduledId),
          attempt,
          lastFailure: lastFailure ?? null,
        },
      }),
    completed: (scheduledId, result) =>
      add({
        eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
        activityTaskCompletedEventAttributes: {
          scheduledEventId: long(scheduledId),
          result: payloads(result),
        },
      }),
    failed: (scheduledId, failure) =>
      add({
        eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
        activityTaskFailedEventAttributes: { scheduledEventId: long(scheduledId), failure },
      }),
    timedOut: (scheduledId, failure) =>
      add({
        eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
        activityTaskTimedOutEventAttributes: { scheduledEventId: long(scheduledId), failure },
      }),
    canceled: (scheduledId) =>
      add({
        eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
        activityTaskCanceledEventAttributes: { scheduledEventId: long(scheduledId) },
      }),
    status: (status, stopReason = null) =>
      add({
        eventType: EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        upsertWorkflowSearchAttributesEventAttributes: {
          searchAttributes: {
            indexedFields: {
              [SEARCH_ATTRIBUTES.status.name]: keyword(status),
              [SEARCH_ATTRIBUTES.stopReason.name]: keyword(stopReason),
            },
          },
        },
      }),
    reset: (newRunId) =>
      add({
        eventType: EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        workflowTaskFailedEventAttributes: {
          cause: WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
          baseRunId: RUN,
          newRunId,
        },
      }),
  };
}
