import type { PayloadCodec } from '@temporalio/common';
import type { Failure, HistoryEvent, Payload, Payloads } from './history-event.ts';

/**
 * Runs the codecs over every payload that the log reads, in place: the events are fresh from the
 * wire and nobody else's. Search attributes never pass a codec. What a codec cannot decode stays as
 * it is and is projected as undecodable, so that one bad payload does not hide the log.
 */
export async function decodeHistory(
  history: readonly HistoryEvent[],
  codecs: readonly PayloadCodec[],
): Promise<void> {
  if (codecs.length === 0) return;
  await Promise.all(
    history.flatMap((event) => [
      ...payloadsOf(event).map((payloads) => decodePayloads(payloads, codecs)),
      ...failuresOf(event).map((failure) => decodeFailure(failure, codecs)),
    ]),
  );
}

function payloadsOf(event: HistoryEvent): Payloads[] {
  return [
    event.workflowExecutionStartedEventAttributes?.input,
    event.workflowExecutionUpdateAdmittedEventAttributes?.request?.input?.args,
    event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input?.args,
    event.workflowExecutionSignaledEventAttributes?.input,
    event.activityTaskScheduledEventAttributes?.input,
    event.activityTaskCompletedEventAttributes?.result,
  ].filter((payloads) => payloads !== null && payloads !== undefined);
}

function failuresOf(event: HistoryEvent): Failure[] {
  return [
    event.activityTaskStartedEventAttributes?.lastFailure,
    event.activityTaskFailedEventAttributes?.failure,
    event.activityTaskTimedOutEventAttributes?.failure,
    event.workflowExecutionFailedEventAttributes?.failure,
  ].filter((failure) => failure !== null && failure !== undefined);
}

async function decodePayloads(payloads: Payloads, codecs: readonly PayloadCodec[]): Promise<void> {
  const encoded = payloads.payloads ?? [];
  payloads.payloads = await Promise.all(encoded.map((payload) => decodePayload(payload, codecs)));
}

async function decodeFailure(failure: Failure, codecs: readonly PayloadCodec[]): Promise<void> {
  if (failure.encodedAttributes) {
    failure.encodedAttributes = await decodePayload(failure.encodedAttributes, codecs);
  }
  if (failure.cause) await decodeFailure(failure.cause, codecs);
}

async function decodePayload(payload: Payload, codecs: readonly PayloadCodec[]): Promise<Payload> {
  try {
    let decoded = [payload];
    for (const codec of codecs.toReversed()) decoded = await codec.decode(decoded);
    return decoded[0] ?? payload;
  } catch {
    return payload;
  }
}
