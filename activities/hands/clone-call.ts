import type { ToolCall } from '../../protocol/hand.ts';
import {
  mountPathOf,
  type RepositorySpec,
  type SessionResourceSpec,
} from '../../protocol/resource.ts';
import { remoteOf } from './gateway-repositories.ts';

/**
 * Clones a repository, once; what is there already is left as it is.
 *
 * @param options.path Where in the hand. Default: its mount path.
 */
export function cloneCall(
  resource: RepositorySpec,
  options: { readonly resources: readonly SessionResourceSpec[]; readonly path?: string },
): ToolCall {
  const { url, checkout } = resource;
  const { path = mountPathOf(resource) } = options;
  const remote = remoteOf(resource, options.resources);
  return {
    // No two resources of a session have the same path.
    id: `repository-${mountPathOf(resource)}`,
    name: 'clone_repository',
    input: {
      url: remote,
      // Who reads that it failed knows it by this.
      ...(remote === url ? {} : { known_as: url }),
      path,
      branch: checkout?.type === 'branch' ? checkout.name : null,
      commit: checkout?.type === 'commit' ? checkout.sha : null,
    },
  };
}
