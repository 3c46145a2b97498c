import type { PayloadCodec, SerializationContext } from '@temporalio/common';
import type { Failure, HistoryEvent, Payload, Payloads } from './history-event.ts';

/** Whose history it is, and how it is read. */
export interface Reading {
  readonly namespace: string;
  readonly sessionId: string;
  /** Reading fails where a codec refuses a payload, instead of leaving the payload undecodable. */
  readonly whole: boolean;
}

/**
 * Runs the codecs over every payload that the log reads, in place: the events are fresh from the
 * wire and nobody else's. Search attributes never pass a codec. What a codec refuses stays as it is
 * and is projected as undecodable, so that one bad payload does not hide the log.
 *
 * @throws what a codec throws, if the log is to be read whole
 */
export async function decodeHistory(
  history: readonly HistoryEvent[],
  codecs: readonly PayloadCodec[],
  { namespace, sessionId: workflowId, whole }: Reading,
): Promise<void> {
  if (codecs.length === 0) return;
  const decodeFor =
    (context: SerializationContext): Decode =>
    async (payload) => {
      try {
        return await decodePayload(payload, codecs, context);
      } catch (error) {
        if (whole) throw error;
        return payload;
      }
    };
  const ofSender = decodeFor({ type: 'workflow', namespace, workflowId });
  const ofActivity = decodeFor({ type: 'activity', namespace, workflowId, isLocal: false });
  await Promise.all(
    history.flatMap((event) => [
      ...sentIn(event).map((payloads) => decodePayloads(payloads, ofSender)),
      ...workedIn(event).map((payloads) => decodePayloads(payloads, ofActivity)),
      ...failuresOf(event).map((failure) => decodeFailure(failure, ofActivity)),
    ]),
  );
}

type Decode = (payload: Payload) => Promise<Payload>;

/** A payload from the wire as it was before its codecs. */
export async function decodePayload(
  payload: Payload,
  codecs: readonly PayloadCodec[],
  context: SerializationContext,
): Promise<Payload> {
  let decoded = [payload];
  for (const codec of codecs.toReversed()) decoded = await codec.decode(decoded, context);
  return decoded[0] ?? payload;
}

function sentIn(event: HistoryEvent): Payloads[] {
  return [
    event.workflowExecutionStartedEventAttributes?.input,
    event.workflowExecutionUpdateAdmittedEventAttributes?.request?.input?.args,
    event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input?.args,
    event.workflowExecutionSignaledEventAttributes?.input,
  ].filter((payloads) => payloads !== null && payloads !== undefined);
}

function workedIn(event: HistoryEvent): Payloads[] {
  return [
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

async function decodePayloads(payloads: Payloads, decode: Decode): Promise<void> {
  payloads.payloads = await Promise.all((payloads.payloads ?? []).map(decode));
}

/** Puts what its codecs hid of a failure in its place. */
export async function decodeFailure(failure: Failure, decode: Decode): Promise<void> {
  if (failure.encodedAttributes) {
    failure.encodedAttributes = await decode(failure.encodedAttributes);
  }
  if (failure.cause) await decodeFailure(failure.cause, decode);
}
