import { ApplicationFailure } from '@temporalio/common';
import { FAILURE } from '../../../protocol/failure.ts';
import type { ProvisionInput } from '../../../protocol/hand.ts';
import { hasNetwork, NETWORK_REMEDY, refuseOutOfReach } from '../refuse-out-of-reach.ts';
import { wantedPackages } from './package-steps.ts';

/**
 * Refuses, before anything is made for it, what no pod could do.
 *
 * @throws ApplicationFailure that is not tried again.
 */
export function refuseRecipe({ environment, resources }: ProvisionInput): void {
  const { definition } = environment;
  if (wantedPackages(definition.config).some(([manager]) => manager === 'apt')) {
    throw refused(
      'config.packages.apt needs root, which no hand has; make an image that has these packages, ' +
        'and name it in config.image.',
    );
  }
  refuseOutOfReach({ environment, resources });
  if (hasNetwork(definition)) return;
  const managers = wantedPackages(definition.config).map(
    ([manager]) => `config.packages.${manager}`,
  );
  if (managers.length > 0) {
    throw refused(
      `${managers.join(' and ')} cannot be installed without a network; ${NETWORK_REMEDY}`,
    );
  }
}

function refused(message: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: FAILURE.sandboxUnsupportedConfig,
    message,
    nonRetryable: true,
  });
}
