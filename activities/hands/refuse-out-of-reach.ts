import { ApplicationFailure } from '@temporalio/common';
import type { EnvironmentDefinition } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { ProvisionInput } from '../../protocol/hand.ts';

export const NETWORK_REMEDY =
  'set networking of the environment to "unrestricted", or to hosts that it may reach.';

/**
 * Refuses a repository that a hand without a network would clone itself. One with a credential comes
 * by the gateway.
 *
 * @throws ApplicationFailure that is not tried again.
 */
export function refuseOutOfReach({
  environment,
  resources,
}: Pick<ProvisionInput, 'environment' | 'resources'>): void {
  if (hasNetwork(environment.definition)) return;
  for (const resource of resources) {
    if (resource.type !== 'github_repository' || resource.credential != null) continue;
    if (!isRemote(resource.url)) continue;
    throw ApplicationFailure.create({
      type: FAILURE.sandboxUnsupportedConfig,
      message: `Repository ${resource.url} cannot be cloned without a network; ${NETWORK_REMEDY}`,
      nonRetryable: true,
    });
  }
}

export function hasNetwork({ networking }: EnvironmentDefinition): boolean {
  return networking.type === 'unrestricted' || networking.allowed_hosts.length > 0;
}

/** Not one that is in the sandbox as it is made. */
function isRemote(url: string): boolean {
  return !url.startsWith('/') && !url.startsWith('file:');
}
