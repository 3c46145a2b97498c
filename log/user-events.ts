import type { temporal } from '@temporalio/proto';
import { checkEvents } from '../protocol/check-events.ts';
import { historyEventId, userEventId } from '../protocol/ids.ts';
import { send, sendSignal } from '../protocol/messages.ts';
import { contribute, contributeError, type Source } from './contribute.ts';
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
  takeRequest(draft, source, attributes?.request);
}

/** Without a request it accepts one that was admitted before, which has contributed already. */
export function acceptUpdate(draft: RunDraft, source: Source, attributes: Attributes<Accepted>) {
  takeRequest(draft, source, attributes?.acceptedRequest);
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
function takeRequest(draft: RunDraft, source: Source, request: Attributes<Request>): void {
  if (request?.input?.name !== send.name) return;
  const updateId = request.meta?.updateId ?? '';
  if (draft.updates.includes(updateId) || draft.newUpdates.includes(updateId)) return;
  draft.newUpdates.push(updateId);
  takeEvents(draft, source, {
    input: readFirst(request.input.args),
    idOf: (item) => userEventId(updateId, item),
  });
}

function takeEvents(
  draft: RunDraft,
  source: Source,
  sent: { readonly input: unknown; readonly idOf: (item: number) => string },
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
    contribute(draft, source, { body, id: sent.idOf(item), item });
  }
}
