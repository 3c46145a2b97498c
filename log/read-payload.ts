import { payloadConverter } from '../protocol/payload-converter.ts';
import type { Payload, Payloads } from './history-event.ts';

/** First value of a payload list; undefined when there is none. Never throws: see `Undecodable`. */
export function readFirst(payloads: Payloads | null | undefined): unknown {
  return readPayload(payloads?.payloads?.[0]);
}

export function readPayload(payload: Payload | null | undefined): unknown {
  if (payload === null || payload === undefined) return undefined;
  return payloadConverter.fromPayload<unknown>(payload);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
