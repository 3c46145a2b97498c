import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, DeleteBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, test, vi } from 'vitest';
import { openStore } from '../../store/open-store.ts';

const ENDPOINT = process.env['DROVER_TEST_S3_ENDPOINT'];

/** A bucket of a test's own on a real server. */
export interface TestBucket {
  readonly url: string;
  readonly endpoint: string;
  /** What a worker needs to reach it, besides DROVER_STORE. */
  readonly variables: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

/**
 * Tests that need an S3 server: `DROVER_TEST_S3_ENDPOINT` with the standard variables for its key.
 * Skipped without it, which `CI=true` does not accept.
 */
export function withS3(name: string, define: () => void): void {
  if (ENDPOINT !== undefined) define();
  else if (process.env['CI'] === 'true') {
    test(name, () => expect.fail('CI needs an S3 server: set DROVER_TEST_S3_ENDPOINT'));
  } else test.skip(`SKIPPED, set DROVER_TEST_S3_ENDPOINT: ${name}`, () => {});
}

export async function openTestBucket(): Promise<TestBucket> {
  const endpoint = ENDPOINT ?? '';
  const variables = {
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_REGION: process.env['AWS_REGION'] ?? 'us-east-1',
    AWS_ACCESS_KEY_ID: process.env['AWS_ACCESS_KEY_ID'] ?? 'drover',
    AWS_SECRET_ACCESS_KEY: process.env['AWS_SECRET_ACCESS_KEY'] ?? 'drover-secret',
  };
  for (const [variable, value] of Object.entries(variables)) vi.stubEnv(variable, value);
  const client = new S3Client({ forcePathStyle: true });
  const Bucket = `drover-test-${randomBytes(4).toString('hex')}`;
  await client.send(new CreateBucketCommand({ Bucket }));
  const url = `s3://${Bucket}/some/prefix`;
  return {
    url,
    endpoint,
    variables,
    async remove() {
      const store = await openStore(`s3://${Bucket}`);
      for await (const { key } of store.list('')) await store.delete(key);
      await client.send(new DeleteBucketCommand({ Bucket }));
      client.destroy();
    },
  };
}
