import { ApplicationFailure } from '@temporalio/common';
import type { EnvironmentDefinition } from '../../../protocol/environment.ts';
import { FAILURE } from '../../../protocol/failure.ts';

/**
 * Refuses a network that no container of hands has.
 *
 * @throws ApplicationFailure that is not tried again.
 */
export function refuseNetwork(
  { networking }: EnvironmentDefinition,
  { hasGateway }: { readonly hasGateway: boolean },
): void {
  if (networking.type === 'unrestricted') {
    throw refused(
      'networking of type "unrestricted": their network is internal. Name the hosts that it may ' +
        'reach in networking.allowed_hosts',
    );
  }
  if (networking.allowed_hosts.length === 0 || hasGateway) return;
  throw refused(
    'networking.allowed_hosts: its worker has no egress gateway. Set DROVER_EGRESS_KEYS and ' +
      'DROVER_CONTAINER_GATEWAY, or give no hosts',
  );
}

function refused(what: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: FAILURE.sandboxUnsupportedConfig,
    message: `Hand provider "container" does not support ${what}.`,
    nonRetryable: true,
  });
}
