import type { Payload } from '@temporalio/common';
import { z } from 'zod';

/** `temporal.api.common.v1.Payloads` in protobuf's JSON: bytes are base64, empty ones may be left out. */
const PayloadsJson = z.object({
  payloads: z
    .array(
      z.object({
        metadata: z.record(z.string(), z.string()).default({}),
        data: z.string().default(''),
      }),
    )
    .default([]),
});

/** @throws when it is something else */
export function fromPayloadsJson(json: unknown): Payload[] {
  return PayloadsJson.parse(json).payloads.map(({ metadata, data }) => ({
    metadata: Object.fromEntries(
      Object.entries(metadata).map(([key, value]) => [key, Buffer.from(value, 'base64')]),
    ),
    data: Buffer.from(data, 'base64'),
  }));
}

export function toPayloadsJson(payloads: readonly Payload[]): z.infer<typeof PayloadsJson> {
  return {
    payloads: payloads.map(({ metadata, data }) => ({
      metadata: Object.fromEntries(
        Object.entries(metadata ?? {}).map(([key, value]) => [key, toBase64(value)]),
      ),
      data: toBase64(data),
    })),
  };
}

function toBase64(bytes: Uint8Array | null | undefined): string {
  return Buffer.from(bytes ?? []).toString('base64');
}
