import type { temporal } from '@temporalio/proto';
import { DEFAULT_AGENT } from '../protocol/agent.ts';
import { describeIssues } from '../protocol/describe-issues.ts';
import { MAIN_HAND, type PassedHand } from '../protocol/hand.ts';
import { handSourcesOf } from '../protocol/hand-sources.ts';
import { historyEventId } from '../protocol/ids.ts';
import type { ResolveResult } from '../protocol/model-step.ts';
import { presentHands } from '../protocol/present-hands.ts';
import { SEARCH_ATTRIBUTES } from '../protocol/search-attributes.ts';
import { type BorrowedHand, type Continued, SessionInput } from '../protocol/session.ts';
import type { StopReason } from '../protocol/session-event.ts';
import { describeUndecodable, isUndecodable } from '../protocol/undecodable.ts';
import { contribute, contributeError, contributeOwn, type Source } from './contribute.ts';
import { describeFailure } from './failure-words.ts';
import { EventType, type HistoryEvent } from './history-event.ts';
import { isRecord, readFirst, readPayload } from './read-payload.ts';
import type { RunDraft } from './run-draft.ts';
import { waitingCalls } from './run-state.ts';

type Started = temporal.api.history.v1.IWorkflowExecutionStartedEventAttributes;
type Upserted = temporal.api.history.v1.IUpsertWorkflowSearchAttributesEventAttributes;
type ContinuedAsNew = temporal.api.history.v1.IWorkflowExecutionContinuedAsNewEventAttributes;
type Attributes<Kind> = Kind | null | undefined;

export function startSession(draft: RunDraft, source: Source, attributes: Attributes<Started>) {
  const run_id = attributes?.originalExecutionRunId ?? '';
  draft.identities = [{ from_event: source.eventId, run_id }];
  draft.created_at = source.time;
  const raw = readFirst(attributes?.input);
  const parsed = SessionInput.safeParse(raw);
  if (!parsed.success) {
    contributeError(draft, source, {
      type: 'invalid_event_error',
      message: isUndecodable(raw)
        ? describeUndecodable(raw, 'input')
        : describeIssues(parsed.error, 'input'),
      retry_status: { type: 'terminal' },
    });
    return;
  }
  const input = parsed.data;
  draft.title = input.title ?? null;
  draft.metadata = input.metadata;
  if (input.continued !== undefined) {
    restore(draft, input.continued);
    return;
  }
  draft.resources = input.resources;
  draft.vault_ids = input.vault_ids;
  useDefinitions(draft, input);
  for (const [item, body] of (input.initial_events ?? []).entries()) {
    contribute(draft, source, { body, item, id: historyEventId(run_id, source.eventId, item) });
  }
}

/** All stay unknown while the registry has to be asked about any, as in the workflow. */
function useDefinitions(draft: RunDraft, input: SessionInput): void {
  const { agent = DEFAULT_AGENT } = input;
  const { inline, references, passed } = handSourcesOf(input);
  const { [MAIN_HAND]: environment, ...environments } = inline;
  draft.inline = {
    ...('type' in agent ? {} : { agent: { id: null, version: null, definition: agent } }),
    ...(environment === undefined ? {} : { environment }),
    environments,
  };
  draft.passed = passed;
  if ('type' in agent || Object.keys(references).length > 0) return;
  resolveDefinitions(draft, {});
}

/** What the registry said, and the inline definitions that waited for it. */
export function resolveDefinitions(draft: RunDraft, resolved: ResolveResult): void {
  const { inline, passed } = draft;
  draft.agent = resolved.agent ?? inline.agent ?? null;
  draft.environment = resolved.environment ?? inline.environment ?? null;
  draft.environments = { ...inline.environments, ...resolved.environments };
  const borrowed = Object.entries(passed).map(([name, hand]) => [name, lent(hand)] as const);
  draft.hands = { ...draft.hands, ...presentHands([], borrowed) };
}

function lent(hand: PassedHand): BorrowedHand {
  return { hand, is_lost: false };
}

/** Tolerates what a person may have written by hand. */
function restore(draft: RunDraft, continued: Partial<Continued>): void {
  draft.status = continued.status ?? draft.status;
  draft.stop_reason = continued.stop_reason ?? null;
  draft.refusal = continued.stop_details ?? null;
  draft.agent = continued.agent ?? null;
  draft.environment = continued.environment ?? null;
  draft.resources = continued.resources ?? [];
  draft.vault_ids = arrayOf(continued.vault_ids).filter((id) => typeof id === 'string');
  draft.usage = continued.usage ?? draft.usage;
  draft.created_at = continued.created_at ?? draft.created_at;
  for (const call of listOf(continued.calls)) draft.calls.set(call.id, call);
  draft.newUpdates.push(...listOf(continued.recent_updates).map(({ id }) => id));
  draft.environments = continued.environments ?? {};
  const borrowed = entriesOf(continued.borrowed);
  draft.passed = Object.fromEntries(borrowed.map(([name, { hand }]) => [name, hand]));
  draft.hands = presentHands(entriesOf(continued.hands), borrowed);
}

function entriesOf<Value>(named: Readonly<Record<string, Value>> | undefined): [string, Value][] {
  return Object.entries(named ?? {}).filter(([, value]) => isRecord(value));
}

function listOf<Item>(list: readonly Item[] | undefined): readonly Item[] {
  return arrayOf(list).filter((item) => isRecord(item));
}

function arrayOf<Item>(list: readonly Item[] | undefined): readonly Item[] {
  return Array.isArray(list) ? list : [];
}

/** The session writes its status as search attributes, once per change. */
export function upsertStatus(draft: RunDraft, source: Source, attributes: Attributes<Upserted>) {
  const fields = attributes?.searchAttributes?.indexedFields ?? {};
  const status = readKeyword(fields[SEARCH_ATTRIBUTES.status.name]);
  if (status === 'running') {
    draft.status = 'running';
    draft.stop_reason = null;
    contributeOwn(draft, source, { type: 'session.status_running' });
  }
  if (status === 'idle') {
    const stop_reason = toStopReason(draft, readKeyword(fields[SEARCH_ATTRIBUTES.stopReason.name]));
    const stop_details = stop_reason.type === 'refusal' ? draft.refusal : null;
    draft.status = 'idle';
    draft.stop_reason = stop_reason;
    contributeOwn(draft, source, { type: 'session.status_idle', stop_reason, stop_details });
  }
}

/** SDKs write a keyword as a string or as a list of one. */
function readKeyword(payload: temporal.api.common.v1.IPayload | undefined): unknown {
  const value = readPayload(payload);
  return Array.isArray(value) ? value[0] : value;
}

function toStopReason(draft: RunDraft, type: unknown): StopReason {
  switch (type) {
    case 'requires_action':
      return { type, event_ids: waitingCalls(draft.calls.values()).map(({ id }) => id) };
    case 'retries_exhausted':
    case 'budget_reached':
    case 'refusal':
      return { type };
    default:
      return { type: 'end_turn' };
  }
}

export function continueRun(draft: RunDraft, attributes: Attributes<ContinuedAsNew>): void {
  draft.end = { type: 'continued', next_run_id: attributes?.newExecutionRunId ?? '' };
}

/** A run that closes without another one to go on ends the session. */
export function closeRun(draft: RunDraft, source: Source, event: HistoryEvent): void {
  draft.end = { type: 'ended' };
  draft.stop_reason = null;
  contributeOwn(draft, source, { type: 'session.status_terminated', reason: reasonOf(event) });
}

/** Null for a session that completed. */
function reasonOf(event: HistoryEvent): string | null {
  switch (event.eventType) {
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
      return 'it was cancelled';
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: {
      const { reason } = event.workflowExecutionTerminatedEventAttributes ?? {};
      return reason ? `it was terminated: ${reason}` : 'it was terminated';
    }
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
      return 'it did not finish in the time allowed to the workflow';
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
      return describeFailure(event.workflowExecutionFailedEventAttributes?.failure);
    default:
      return null;
  }
}
