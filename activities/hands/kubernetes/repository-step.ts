import { mountPathOf, type SessionResourceSpec } from '../../../protocol/resource.ts';
import { callStep, type SetupStep } from './hand-setup.ts';

/** Clones a repository, once; what a restored workspace brought along is left as it is. */
export function repositoryStep(
  resource: Extract<SessionResourceSpec, { type: 'github_repository' }>,
): SetupStep {
  const { url, checkout } = resource;
  const path = mountPathOf(resource);
  return callStep(`repository ${url}`, {
    // No two resources of a session have the same path.
    id: `repository-${path}`,
    name: 'clone_repository',
    input: {
      url,
      path,
      branch: checkout?.type === 'branch' ? checkout.name : null,
      commit: checkout?.type === 'commit' ? checkout.sha : null,
    },
  });
}
