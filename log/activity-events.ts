import type { temporal } from '@temporalio/proto';
import type { ExecuteInput, HandInstance } from '../protocol/hand.ts';
import { historyEventId } from '../protocol/ids.ts';
import type { CallMcpToolInput, ListMcpToolsResult } from '../protocol/mcp.ts';
import { ACTIVITY, type ResolveResult } from '../protocol/model-step.ts';
import { pushedCallId, toPushedResult } from '../protocol/pushed-tool.ts';
import type { RecordedEvent } from '../protocol/session-event.ts';
import { isUndecodable } from '../protocol/undecodable.ts';
import {
  contribute,
  contributeError,
  contributeOwn,
  type Source,
  settleQueued,
} from './contribute.ts';
import { failedEvent } from './failed-event.ts';
import { describeFailure, sessionErrorType } from './failure-words.ts';
import { toNumber } from './history-event.ts';
import { isRecord, readFirst } from './read-payload.ts';
import type { RunDraft } from './run-draft.ts';
import { identityRunId, type OpenActivity } from './run-state.ts';
import { resolveDefinitions } from './session-events.ts';

type Scheduled = temporal.api.history.v1.IActivityTaskScheduledEventAttributes;
type Started = temporal.api.history.v1.IActivityTaskStartedEventAttributes;
type Completed = temporal.api.history.v1.IActivityTaskCompletedEventAttributes;
type Failed = Pick<
  temporal.api.history.v1.IActivityTaskFailedEventAttributes,
  'scheduledEventId' | 'failure'
>;
type Attributes<Kind> = Kind | null | undefined;

/** A model step begins when it is scheduled: that is the point of the log which it sees. */
export function scheduleActivity(
  draft: RunDraft,
  source: Source,
  attributes: Attributes<Scheduled>,
) {
  const name = attributes?.activityType?.name ?? '';
  if (name === ACTIVITY.respond) {
    settleQueued(draft, source.time);
    const start_id = historyEventId(identityRunId(draft), source.eventId, 0);
    draft.activities.set(source.eventId, { name, start_id });
    contributeOwn(draft, source, { type: 'span.model_request_start' });
    return;
  }
  draft.activities.set(source.eventId, { name, ...subjectOf(attributes) });
}

/** What an activity is about, as its input says; of a pushed tool its id, since the input is the tool's. */
function subjectOf(attributes: Attributes<Scheduled>): Omit<OpenActivity, 'name'> {
  const pushed = pushedCallId(attributes?.activityId ?? '');
  if (pushed !== undefined) return { call_id: pushed, is_pushed: true };
  const input = readFirst(attributes?.input) as Partial<ExecuteInput & CallMcpToolInput>;
  const call_id = input?.call?.id;
  const hand = input?.hand;
  const server = input?.server?.name;
  return {
    ...(typeof call_id === 'string' ? { call_id } : {}),
    ...(isHand(hand) ? { hand } : {}),
    ...(typeof server === 'string' ? { server } : {}),
  };
}

/** Earlier attempts leave no event of their own; the last one's start says what they ran into. */
export function startActivity(draft: RunDraft, source: Source, attributes: Attributes<Started>) {
  const activity = draft.activities.get(toNumber(attributes?.scheduledEventId));
  const words = RETRIED[activity?.name ?? ''];
  if (words === undefined || (attributes?.attempt ?? 1) <= 1 || !attributes?.lastFailure) return;
  contributeError(draft, source, {
    type: sessionErrorType(attributes.lastFailure),
    message: `${words} again: ${describeFailure(attributes.lastFailure)}`,
    retry_status: { type: 'retrying' },
  });
}

/** Activities whose attempts a person would want to know of. */
const RETRIED: Readonly<Record<string, string>> = {
  [ACTIVITY.respond]: 'The model request was tried',
  [ACTIVITY.provision]: 'It was tried to make the sandbox',
};

export function completeActivity(
  draft: RunDraft,
  source: Source,
  attributes: Attributes<Completed>,
) {
  const scheduledId = toNumber(attributes?.scheduledEventId);
  const activity = closeActivity(draft, scheduledId);
  const result = readFirst(attributes?.result);
  if (activity.is_pushed === true && activity.call_id !== undefined) {
    const body = toPushedResult(activity.call_id, result);
    contribute(draft, source, { body, item: 0, id: mint(draft, scheduledId, 0) });
    return;
  }
  if (isUndecodable(result)) {
    contributeError(draft, source, {
      type: 'unknown_error',
      message: `The result of ${activity.name} could not be decoded: ${result.undecodable}`,
      retry_status: { type: 'terminal' },
    });
    return;
  }
  contributeResult(draft, source, { activity, scheduledId, result });
  takeResult(draft, source, { activity, scheduledId, result });
}

/** For a pushed tool that is told to stop nobody waits: what it says later is not heard. */
export function abandonActivity(
  draft: RunDraft,
  attributes:
    | { readonly scheduledEventId?: Scheduled['workflowTaskCompletedEventId'] }
    | null
    | undefined,
) {
  const scheduledId = toNumber(attributes?.scheduledEventId);
  if (draft.activities.get(scheduledId)?.is_pushed) draft.activities.delete(scheduledId);
}

/** An activity that ended without a result. A cancelled model step said nothing. */
export function failActivity(draft: RunDraft, source: Source, attributes: Attributes<Failed>) {
  const scheduledId = toNumber(attributes?.scheduledEventId);
  const activity = closeActivity(draft, scheduledId);
  const failure = attributes?.failure;
  // Nobody nurses: a hand that could not be released ends by its own lease.
  if (activity.name === ACTIVITY.release) dropHand(draft, activity.hand);
  const failed = failedEvent(activity, failure);
  if (failed !== undefined) {
    contribute(draft, source, { body: failed, item: 0, id: mint(draft, scheduledId, 0) });
  }
  if (activity.name === ACTIVITY.respond && !failure?.canceledFailureInfo) {
    const error = {
      type: sessionErrorType(failure),
      message: `The model request failed: ${describeFailure(failure)}`,
      retry_status: { type: 'exhausted' },
    } as const;
    const body = { type: 'session.error', error } as const;
    contribute(draft, source, { body, item: 0, id: mint(draft, scheduledId, 1) });
  }
}

function closeActivity(draft: RunDraft, scheduledId: number): OpenActivity {
  const activity = draft.activities.get(scheduledId) ?? { name: 'an unknown activity' };
  draft.activities.delete(scheduledId);
  return activity;
}

interface Ended {
  readonly activity: OpenActivity;
  readonly scheduledId: number;
  readonly result: unknown;
}

function contributeResult(draft: RunDraft, source: Source, ended: Ended): void {
  const { activity, scheduledId, result } = ended;
  if (!isRecord(result) || !Array.isArray(result['events'])) return;
  /** Item 0 of a model step is its `span.model_request_start`. */
  const firstItem = activity.name === ACTIVITY.respond ? 1 : 0;
  for (const [item, raw] of result['events'].entries()) {
    if (!isRecordedEvent(raw)) continue;
    const id = 'id' in raw ? raw.id : mint(draft, scheduledId, firstItem + item);
    const { start_id } = activity;
    const body =
      raw.type === 'span.model_request_end' && start_id !== undefined
        ? { ...raw, model_request_start_id: start_id }
        : raw;
    contribute(draft, source, { body, id, item });
  }
}

function isRecordedEvent(raw: unknown): raw is RecordedEvent {
  return isRecord(raw) && typeof raw['type'] === 'string';
}

function mint(draft: RunDraft, scheduledId: number, item: number): string {
  return historyEventId(identityRunId(draft), scheduledId, item);
}

/** What results say besides their events: the session's definitions and its hands. */
function takeResult(draft: RunDraft, source: Source, { activity, result }: Ended): void {
  if (activity.name === ACTIVITY.release) dropHand(draft, activity.hand);
  if (!isRecord(result)) return;
  if (activity.name === ACTIVITY.listMcpTools) takeTools(draft, source, result);
  if (activity.name === ACTIVITY.resolve) resolveDefinitions(draft, result as ResolveResult);
  if (activity.name === ACTIVITY.provision) {
    const { hand } = result;
    if (isHand(hand)) draft.hands = { ...draft.hands, [hand.name]: hand };
  }
  if (activity.name === ACTIVITY.execute && result['lost'] === true) dropHand(draft, activity.hand);
}

function takeTools(draft: RunDraft, source: Source, result: Readonly<Record<string, unknown>>) {
  const { server, tools } = result as Partial<ListMcpToolsResult>;
  if (typeof server !== 'string' || !Array.isArray(tools)) return;
  draft.mcp_lists = [...draft.mcp_lists, { event_id: source.eventId, server, tools }];
}

function isHand(value: unknown): value is HandInstance {
  return isRecord(value) && typeof value['name'] === 'string';
}

function dropHand(draft: RunDraft, hand: HandInstance | undefined): void {
  if (hand === undefined) return;
  const isSame = (held: HandInstance) =>
    held.session_id === hand.session_id &&
    held.name === hand.name &&
    held.generation === hand.generation;
  draft.hands = Object.fromEntries(Object.entries(draft.hands).filter(([, held]) => !isSame(held)));
}
