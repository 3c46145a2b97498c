import type { DataConverter } from '@temporalio/common';
import { createReaderCodec, createWorkerCodec, type PayloadKeys } from '../codec/payload-codec.ts';
import { FAILURE_CONVERTER_PATH, PAYLOAD_CONVERTER_PATH } from './workflow-bundle.ts';

/** Of workers, and of what reads the log for a model step. */
export function createWorkerConverter(keys: PayloadKeys): DataConverter {
  return {
    payloadConverterPath: PAYLOAD_CONVERTER_PATH,
    payloadCodecs: [createWorkerCodec(keys)],
    ...(keys === null ? {} : { failureConverterPath: FAILURE_CONVERTER_PATH }),
  };
}

/** Of a client that a worker has: one payload that cannot be read hides no other. */
export function createClientConverter(keys: PayloadKeys): DataConverter {
  return {
    payloadConverterPath: PAYLOAD_CONVERTER_PATH,
    payloadCodecs: [createReaderCodec(keys)],
  };
}
