import { ApplicationFailure } from '@temporalio/common';
import { FAILURE } from '../../../protocol/failure.ts';
import type { ProvisionInput } from '../../../protocol/hand.ts';

/** A pool is for sessions to come, which only a registered environment is known to have. */
export function refuseInlinePool({ environment }: Pick<ProvisionInput, 'environment'>): void {
  const { id, definition } = environment;
  if (id !== null || (definition.config?.warm_pool_size ?? 0) === 0) return;
  throw ApplicationFailure.create({
    type: FAILURE.sandboxUnsupportedConfig,
    message:
      'config.warm_pool_size is for environments of the registry only, and this one is inline: ' +
      'register it (workflow type "environment") and name it by its id, or leave warm_pool_size out.',
    nonRetryable: true,
  });
}
