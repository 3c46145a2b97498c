import { MAIN_HAND } from '../protocol/hand.ts';
import { historyEventId } from '../protocol/ids.ts';
import { addUsage } from '../protocol/model-usage.ts';
import type { OpenCall } from '../protocol/session.ts';
import type {
  SessionErrorObject,
  SessionEvent,
  SessionEventBody,
} from '../protocol/session-event.ts';
import { formatPosition, runTag } from './position.ts';
import type { RunDraft } from './run-draft.ts';
import { identityRunId } from './run-state.ts';

/** The history event that is being folded. */
export interface Source {
  readonly eventId: number;
  readonly time: string;
}

/**
 * Gives one event to the log, and lets it change the state: calls, usage, title and what is queued
 * follow from the events of the log alone.
 */
export function contribute(draft: RunDraft, source: Source, event: Contribution): void {
  const { body, id, item, isHeld = false } = event;
  const tag = runTag(identityRunId(draft));
  const position = formatPosition({ run: draft.run_index, event: source.eventId, item, tag });
  const isQueued = body.type.startsWith('user.');
  const full: SessionEvent = { ...body, id, position, processed_at: isQueued ? null : source.time };
  if (isQueued) draft.queued.push({ event: full, index: draft.events.length });
  draft.events.push(full);
  if (!isHeld) note(draft, full);
}

interface Contribution {
  readonly body: SessionEventBody;
  readonly id: string;
  readonly item: number;
  /** It stands in the log, and changes nothing yet. */
  readonly isHeld?: boolean;
}

/** Contributes an event named by its own history event. */
export function contributeOwn(draft: RunDraft, source: Source, body: SessionEventBody): void {
  const id = historyEventId(identityRunId(draft), source.eventId, 0);
  contribute(draft, source, { body, id, item: 0 });
}

export function contributeError(draft: RunDraft, source: Source, error: SessionErrorObject): void {
  contributeOwn(draft, source, { type: 'session.error', error });
}

/** A model step begins: it sees every user event so far. */
export function settleQueued(draft: RunDraft, time: string): void {
  for (const { event, index } of draft.queued) {
    const settled: SessionEvent = { ...event, processed_at: time };
    if (index === undefined) draft.events.push(settled);
    else draft.events[index] = settled;
  }
  draft.queued = [];
  draft.first_step_at ??= time;
}

function note(draft: RunDraft, event: SessionEvent): void {
  switch (event.type) {
    case 'agent.mcp_tool_use':
      if (event.block?.type !== 'tool_use') return;
      openCall(draft, event, event.evaluated_permission === 'ask' ? 'confirmation' : 'ready');
      return;
    case 'agent.tool_use':
      if (event.block !== undefined && event.block.type !== 'tool_use') return;
      openCall(draft, event, event.evaluated_permission === 'ask' ? 'confirmation' : 'ready');
      return;
    case 'agent.custom_tool_use':
      openCall(draft, event, 'result');
      return;
    case 'agent.tool_result':
      draft.calls.delete(event.tool_use_id);
      return;
    case 'agent.mcp_tool_result':
      draft.calls.delete(event.mcp_tool_use_id);
      return;
    case 'user.tool_confirmation':
    case 'user.custom_tool_result':
      takeAnswer(draft, answerOf(event));
      return;
    case 'span.model_request_end':
      draft.usage = addUsage(draft.usage, event.model_usage);
      draft.refusal = event.stop_details ?? null;
      return;
    case 'session.updated':
      if (event.title !== undefined) draft.title = event.title;
      if (event.metadata !== undefined) draft.metadata = event.metadata;
      return;
    default:
      return;
  }
}

type Waiting = 'confirmation' | 'result';

/** The call that an event answers, and how; undefined when it answers none. */
export function answerOf(event: SessionEventBody): string | undefined {
  switch (event.type) {
    case 'user.tool_confirmation':
      return answerKey('confirmation', event.tool_use_id);
    case 'user.custom_tool_result':
      return answerKey('result', event.custom_tool_use_id);
    default:
      return undefined;
  }
}

export function takeAnswer(draft: RunDraft, key: string | undefined): void {
  if (key === undefined) return;
  const [kind = '', ...callId] = key.split(' ');
  if (kind === 'confirmation' || kind === 'result') answer(draft, kind, callId.join(' '));
}

function openCall(
  draft: RunDraft,
  { id, name, input }: Pick<OpenCall, 'id' | 'name' | 'input'>,
  waits_for: OpenCall['waits_for'],
): void {
  draft.calls.set(id, { id, name, input, waits_for, hand: MAIN_HAND });
  if (waits_for !== 'ready' && draft.early_answers.delete(answerKey(waits_for, id))) {
    answer(draft, waits_for, id);
  }
}

/** An answer may be recorded before the answer of the model that makes the call: matched by id. */
function answer(draft: RunDraft, kind: Waiting, callId: string): void {
  const call = draft.calls.get(callId);
  if (call === undefined) draft.early_answers.add(answerKey(kind, callId));
  else if (call.waits_for !== kind) return;
  else if (kind === 'result') draft.calls.delete(callId);
  else draft.calls.set(callId, { ...call, waits_for: 'ready' });
}

function answerKey(kind: Waiting, callId: string): string {
  return `${kind} ${callId}`;
}
