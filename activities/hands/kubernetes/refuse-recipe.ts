import { ApplicationFailure } from '@temporalio/common';
import type { EnvironmentDefinition } from '../../../protocol/environment.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type { ProvisionInput } from '../../../protocol/hand.ts';
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
  if (hasNetwork(definition)) return;
  const managers = wantedPackages(definition.config).map(
    ([manager]) => `config.packages.${manager}`,
  );
  if (managers.length > 0) {
    throw refused(`${managers.join(' and ')} cannot be installed without a network; ${REMEDY}`);
  }
  const remote = resources.find(
    (resource) => resource.type === 'github_repository' && isRemote(resource.url),
  );
  if (remote?.type !== 'github_repository') return;
  throw refused(`Repository ${remote.url} cannot be cloned without a network; ${REMEDY}`);
}

const REMEDY =
  'set networking of the environment to "unrestricted", or to hosts that it may reach.';

function hasNetwork({ networking }: EnvironmentDefinition): boolean {
  return networking.type === 'unrestricted' || networking.allowed_hosts.length > 0;
}

/** Not one that is in the image. */
function isRemote(url: string): boolean {
  return !url.startsWith('/') && !url.startsWith('file:');
}

function refused(message: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: FAILURE.sandboxUnsupportedConfig,
    message,
    nonRetryable: true,
  });
}
