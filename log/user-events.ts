import type { temporal } from '@temporalio/proto';
import { checkEvents } from '../protocol/check-events.ts';
import { historyEventId, userEventId } from '../protocol/ids.ts';
import { send, sendSignal } from '../protocol/messages.ts';
import { answerOf, contribute, contributeError, type Source, takeAnswer } from './contribute.ts';
import { readFirst } from './read-payload.ts';
import type { RunDraft } from './run-draft.ts';
import { identityRunId } from './run-state.ts';

type Admitted = temporal.api.history.v1.IWorkflowExecutionUpdateAdmittedEventAttributes;
type Accepted = temporal.api.history.v1.IWorkflowExecutionUpdateAcceptedEventAttributes;
type Signaled = temporal.api.history.v1.IWorkflowExecutionSignaledEventAttributes;
type Request = temporal.api.update.v1.IRequest;
type Attributes<Kind> = Kind | null | undefined;

/** A reset puts the updates that came after its point back as admitted requests. */
export function admitUpdate(draft: RunDraft, source: Source, attributes: Attributes<Admitted>) {
  takeRequest(draft, source, { request: attributes?.request, isHeld: true });
}

/** Without a request it accepts one that was admitted before, which has contributed already. */
export function acceptUpdate(draft: RunDraft, source: Source, attributes: Attributes<Accepted>) {
  const { protocolInstanceId, acceptedRequest } = attributes ?? {};
  const updateId = acceptedRequest?.meta?.updateId ?? protocolInstanceId ?? '';
  const { [updateId]: answers = [], ...others } = draft.admitted;
  draft.admitted = others;
  for (const answer of answers) takeAnswer(draft, answer);
  takeRequest(draft, source, { request: acceptedRequest, isHeld: false });
}

/** A signal has no validator, so what it sends is checked here as the workflow checks it. */
export function receiveSignal(draft: RunDraft, source: Source, attributes: Attributes<Signaled>) {
  if (attributes?.signalName !== sendSignal.name) return;
  const run = identityRunId(draft);
  takeEvents(draft, source, {
    input: readFirst(attributes.input),
    idOf: (item) => historyEventId(run, source.eventId, item),
  });
}

/** Temporal drops a repeated update id within a run; over a roll-over the session and this do. */
function takeRequest(
  draft: RunDraft,
  source: Source,
  { request, isHeld }: { readonly request: Attributes<Request>; readonly isHeld: boolean },
): void {
  if (request?.input?.name !== send.name) return;
  const updateId = request.meta?.updateId ?? '';
  if (draft.updates.includes(updateId) || draft.newUpdates.includes(updateId)) return;
  draft.newUpdates.push(updateId);
  const first = draft.events.length;
  takeEvents(draft, source, {
    input: readFirst(request.input.args),
    idOf: (item) => userEventId(updateId, item),
    isHeld,
  });
  const answers = draft.events.slice(first).flatMap((event) => answerOf(event) ?? []);
  if (isHeld && answers.length > 0) draft.admitted = { ...draft.admitted, [updateId]: answers };
}

function takeEvents(
  draft: RunDraft,
  source: Source,
  sent: {
    readonly input: unknown;
    readonly idOf: (item: number) => string;
    readonly isHeld?: boolean;
  },
): void {
  const checked = checkEvents(sent.input);
  if (!checked.ok) {
    contributeError(draft, source, {
      type: 'invalid_event_error',
      message: `Ignored: ${checked.message}`,
      retry_status: { type: 'terminal' },
    });
    return;
  }
  for (const [item, body] of checked.events.entries()) {
    const id = sent.idOf(item);
    contribute(draft, source, { body, id, item, isHeld: sent.isHeld ?? false });
  }
}
