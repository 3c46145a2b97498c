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
    async (payloads) => {
      try {
        return await decodePayloads(payloads, codecs, context);
      } catch (error) {
        if (whole) throw error;
        return Promise.all(
          payloads.map((payload) => decodePayload(payload, codecs, context).catch(() => payload)),
        );
      }
    };
  const ofSender = decodeFor({ type: 'workflow', namespace, workflowId });
  const ofActivity = decodeFor({ type: 'activity', namespace, workflowId, isLocal: false });
  await Promise.all([
    decodeAll(history.flatMap(sentIn), ofSender),
    decodeAll([...history.flatMap(workedIn), ...history.flatMap(failedIn)], ofActivity),
  ]);
}

type Decode = (payloads: Payload[]) => Promise<Payload[]>;

/** Where payloads stand, to be put there again. */
interface Place {
  readonly payloads: readonly Payload[];
  put(decoded: Payload[]): void;
}

/** All at once: a page of a history holds thousands, and each call waits for a few ticks. */
async function decodeAll(places: readonly Place[], decode: Decode): Promise<void> {
  if (places.length === 0) return;
  const decoded = await decode(places.flatMap(({ payloads }) => payloads));
  let at = 0;
  for (const { payloads, put } of places) {
    put(decoded.slice(at, at + payloads.length));
    at += payloads.length;
  }
}

async function decodePayloads(
  payloads: Payload[],
  codecs: readonly PayloadCodec[],
  context: SerializationContext,
): Promise<Payload[]> {
  let decoded = payloads;
  for (const codec of codecs.toReversed()) decoded = await codec.decode(decoded, context);
  return decoded;
}

/** A payload from the wire as it was before its codecs. */
export async function decodePayload(
  payload: Payload,
  codecs: readonly PayloadCodec[],
  context: SerializationContext,
): Promise<Payload> {
  return (await decodePayloads([payload], codecs, context))[0] ?? payload;
}

/** Puts what codecs hid of a failure in its place. */
export async function decodeFailure(
  failure: Failure,
  codecs: readonly PayloadCodec[],
  context: SerializationContext,
): Promise<void> {
  await decodeAll(placesIn(failure), (payloads) => decodePayloads(payloads, codecs, context));
}

function sentIn(event: HistoryEvent): Place[] {
  return toPlaces([
    event.workflowExecutionStartedEventAttributes?.input,
    event.workflowExecutionUpdateAdmittedEventAttributes?.request?.input?.args,
    event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input?.args,
    event.workflowExecutionSignaledEventAttributes?.input,
  ]);
}

function workedIn(event: HistoryEvent): Place[] {
  return toPlaces([
    event.activityTaskScheduledEventAttributes?.input,
    event.activityTaskCompletedEventAttributes?.result,
  ]);
}

function toPlaces(lists: readonly (Payloads | null | undefined)[]): Place[] {
  return lists.flatMap((list) => {
    if (list?.payloads == null || list.payloads.length === 0) return [];
    return {
      payloads: list.payloads,
      put(decoded) {
        list.payloads = decoded;
      },
    };
  });
}

function failedIn(event: HistoryEvent): Place[] {
  return [
    event.activityTaskStartedEventAttributes?.lastFailure,
    event.activityTaskFailedEventAttributes?.failure,
    event.activityTaskTimedOutEventAttributes?.failure,
    event.workflowExecutionFailedEventAttributes?.failure,
  ].flatMap((failure) => placesIn(failure));
}

function placesIn(failure: Failure | null | undefined): Place[] {
  if (failure === null || failure === undefined) return [];
  const { encodedAttributes } = failure;
  const causes = placesIn(failure.cause);
  if (encodedAttributes === null || encodedAttributes === undefined) return causes;
  const put = ([decoded]: Payload[]) => {
    failure.encodedAttributes = decoded ?? encodedAttributes;
  };
  return [{ payloads: [encodedAttributes], put }, ...causes];
}
