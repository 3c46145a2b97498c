import { ApplicationFailure } from '@temporalio/common';
import { VaultError } from '../../vault/vault-error.ts';

/** What the workflow is told of a vault's trouble; any other error as it is. */
export function toVaultFailure(error: unknown): unknown {
  if (!(error instanceof VaultError)) return error;
  const { type, message, isRetryable } = error;
  return ApplicationFailure.create({ type, message, nonRetryable: !isRetryable });
}
