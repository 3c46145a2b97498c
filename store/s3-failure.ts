import { S3ServiceException } from '@aws-sdk/client-s3';
import { StoreError } from './store.ts';

const REMEDY: Readonly<Record<string, string>> = {
  NoSuchBucket: 'make the bucket, or correct DROVER_STORE',
  InvalidAccessKeyId: 'correct AWS_ACCESS_KEY_ID',
  SignatureDoesNotMatch: 'correct AWS_SECRET_ACCESS_KEY',
  AccessDenied: 'let this key list, read, write and delete in the bucket',
  CredentialsProviderError: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile',
  PermanentRedirect: 'correct AWS_REGION',
  AuthorizationHeaderMalformed: 'correct AWS_REGION',
};

/** Whether there is no such object, as opposed to no such bucket. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof S3ServiceException)) return false;
  return error.name === 'NoSuchKey' || error.name === 'NotFound';
}

/**
 * What a server, or the way to it, failed with. The SDK's own errors hold the whole request, with
 * its authorization: only their words are kept.
 */
export function toStoreError(url: string, error: unknown): unknown {
  if (error instanceof StoreError || !(error instanceof Error)) return error;
  const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
  if (status === 412 || status === 409) {
    return new StoreError('exists', `${url} has a blob of this key already`);
  }
  if (/Region is missing/.test(error.message)) {
    return refused(url, 'no region is configured', 'set AWS_REGION (us-east-1 fits most servers)');
  }
  const remedy = REMEDY[error.name] ?? remedyOf(status, error.message);
  if (remedy !== undefined) return refused(url, `${error.name}: ${error.message}`, remedy);
  const words = `the store ${url} cannot be reached (${wordsOf(error)}); see AWS_ENDPOINT_URL_S3`;
  return new StoreError('unreachable', words);
}

/** Servers have names of their own for what is wrong. */
function remedyOf(status: number | undefined, message: string): string | undefined {
  const isRefusal = status !== undefined && status >= 400 && status < 500 && status !== 429;
  if (!isRefusal) return undefined;
  return /access key/i.test(message) ? REMEDY['InvalidAccessKeyId'] : 'correct DROVER_STORE';
}

function refused(url: string, what: string, remedy: string): StoreError {
  return new StoreError('refused', `the store ${url} refused (${what}); ${remedy}`);
}

function wordsOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  return error.message === '' ? code : error.message;
}
