import type { SessionEvent } from '../protocol/session-event.ts';
import {
  abandonActivity,
  completeActivity,
  failActivity,
  scheduleActivity,
  startActivity,
} from './activity-events.ts';
import type { Source } from './contribute.ts';
import {
  EventType,
  eventIdOf,
  eventTimeOf,
  type HistoryEvent,
  isWorkflowTaskNoise,
} from './history-event.ts';
import { closeDraft, openDraft, type RunDraft } from './run-draft.ts';
import type { RunState } from './run-state.ts';
import { closeRun, continueRun, startSession, upsertStatus } from './session-events.ts';
import { acceptUpdate, admitUpdate, receiveSignal } from './user-events.ts';

export interface Projected {
  readonly state: RunState;
  /**
   * What the batch contributes to the log, in log order; among it, again and with the same id and
   * position, events of earlier batches whose `processed_at` is now known.
   */
  readonly events: SessionEvent[];
}

/**
 * The log is the history: folds a run's next history events into log events. Pure and synchronous;
 * payloads must have passed the codec. Takes up any state it returned before, in batches of any
 * size; events it has folded already and workflow-task events are skipped, so that a batch may
 * overlap the one before.
 *
 * | history event | contributes |
 * |---|---|
 * | WorkflowExecutionStarted | `initial_events`, unless the run continues another |
 * | UpdateAccepted, UpdateAdmitted `send` | the user's events, once; an answer counts when accepted |
 * | WorkflowExecutionSignaled `send` | the user's events, or a `session.error` |
 * | ActivityTaskScheduled `respond` | `span.model_request_start` |
 * | ActivityTaskStarted `respond`, `provision`, attempt > 1 | `session.error` {retrying} |
 * | ActivityTaskCompleted | `result.events` |
 * | ActivityTaskCompleted `execute` of a pushed tool | `agent.tool_result` made of the result |
 * | ActivityTaskFailed, TimedOut, Canceled `execute` | `agent.tool_result` {is_error} |
 * | the same, `callMcpTool` | `agent.mcp_tool_result` {is_error} |
 * | ActivityTaskFailed, TimedOut `listMcpTools` | `session.error` {mcp_connection_failed} |
 * | ActivityTaskFailed, TimedOut `respond` | `session.error` {exhausted} |
 * | UpsertWorkflowSearchAttributes, status | `session.status_running`, `session.status_idle` |
 * | ContinuedAsNew | nothing |
 * | Completed, Failed, TimedOut, Canceled, Terminated | `session.status_terminated` |
 */
export function project(state: RunState, history: readonly HistoryEvent[]): Projected {
  const draft = openDraft(state);
  for (const event of history) {
    if (isWorkflowTaskNoise(event)) continue;
    const eventId = eventIdOf(event);
    if (eventId <= draft.last_event_id) continue;
    draft.last_event_id = eventId;
    const row = ROWS[event.eventType ?? 0];
    row?.(draft, { eventId, time: eventTimeOf(event) }, event);
  }
  return closeDraft(draft);
}

type Row = (draft: RunDraft, source: Source, event: HistoryEvent) => void;

const ROWS: Readonly<Record<number, Row>> = {
  [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED]: (draft, source, event) =>
    startSession(draft, source, event.workflowExecutionStartedEventAttributes),
  [EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED]: (draft, source, event) =>
    changeIdentity(draft, source, event.workflowTaskFailedEventAttributes?.newRunId),
  [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED]: (draft, source, event) =>
    admitUpdate(draft, source, event.workflowExecutionUpdateAdmittedEventAttributes),
  [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED]: (draft, source, event) =>
    acceptUpdate(draft, source, event.workflowExecutionUpdateAcceptedEventAttributes),
  [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED]: (draft, source, event) =>
    receiveSignal(draft, source, event.workflowExecutionSignaledEventAttributes),
  [EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]: (draft, source, event) =>
    scheduleActivity(draft, source, event.activityTaskScheduledEventAttributes),
  [EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED]: (draft, source, event) =>
    startActivity(draft, source, event.activityTaskStartedEventAttributes),
  [EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED]: (draft, source, event) =>
    completeActivity(draft, source, event.activityTaskCompletedEventAttributes),
  [EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED]: (draft, _source, event) =>
    abandonActivity(draft, event.activityTaskCancelRequestedEventAttributes),
  [EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED]: (draft, source, event) =>
    failActivity(draft, source, event.activityTaskFailedEventAttributes),
  [EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT]: (draft, source, event) =>
    failActivity(draft, source, event.activityTaskTimedOutEventAttributes),
  [EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED]: (draft, source, event) =>
    failActivity(draft, source, {
      scheduledEventId: event.activityTaskCanceledEventAttributes?.scheduledEventId ?? null,
      failure: { canceledFailureInfo: {} },
    }),
  [EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES]: (draft, source, event) =>
    upsertStatus(draft, source, event.upsertWorkflowSearchAttributesEventAttributes),
  [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW]: (draft, _source, event) =>
    continueRun(draft, event.workflowExecutionContinuedAsNewEventAttributes),
  [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED]: closeRun,
  [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED]: closeRun,
  [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT]: closeRun,
  [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED]: closeRun,
  [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED]: closeRun,
};

/** A reset: the history so far belongs to another run, what follows to the new one. */
function changeIdentity(
  draft: RunDraft,
  source: Source,
  newRunId: string | null | undefined,
): void {
  if (!newRunId) return;
  draft.identities = [...draft.identities, { from_event: source.eventId, run_id: newRunId }];
}
