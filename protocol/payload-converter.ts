import { DefaultPayloadConverter, type Payload, type PayloadConverter } from '@temporalio/common';

/** Stands where a payload could not be decoded. Fails every schema, so a message names it. */
export interface Undecodable {
  readonly undecodable: string;
}

const base = new DefaultPayloadConverter();

/**
 * The default converter, but decoding never throws: a workflow that throws on a sender's bytes
 * would retry its task for ever.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: (value) => base.toPayload(value),
  fromPayload: <T>(payload: Payload): T => {
    try {
      return base.fromPayload<T>(payload);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const marked: Undecodable = { undecodable: reason };
      return marked as T;
    }
  },
};
