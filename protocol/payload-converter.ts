import { DefaultPayloadConverter, type Payload, type PayloadConverter } from '@temporalio/common';
import type { Undecodable } from './undecodable.ts';

const base = new DefaultPayloadConverter();
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const PLAIN_JSON = 'json/plain';

/**
 * The default converter, but decoding never throws: a workflow that throws on a sender's bytes
 * would retry its task for ever. JSON is decoded by the platform, since the SDK's own decoder of
 * UTF-8 takes as long as all the rest of reading a history.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: (value) => base.toPayload(value),
  fromPayload: <T>(payload: Payload): T => {
    try {
      return isPlainJson(payload)
        ? (JSON.parse(utf8.decode(payload.data ?? undefined)) as T)
        : base.fromPayload<T>(payload);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const marked: Undecodable = { undecodable: reason };
      return marked as T;
    }
  },
};

function isPlainJson({ metadata }: Payload): boolean {
  const encoding = metadata?.['encoding'];
  return encoding?.length === PLAIN_JSON.length && utf8.decode(encoding) === PLAIN_JSON;
}
