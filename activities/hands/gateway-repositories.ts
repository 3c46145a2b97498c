import { REMOTE_ROOT } from '../../egress/git-variables.ts';
import type { TokenRepository } from '../../egress/hand-token.ts';
import {
  type RepositorySpec,
  repositoryName,
  type SessionResourceSpec,
  withCredential,
} from '../../protocol/resource.ts';

const NOTHING: TokenRepository['push'] = { branches: [], tags: [], force: false, delete: false };
/** Of the part of a name that is the repository's own. */
const MAX_NAME_LENGTH = 100;

/** The repositories that a hand reaches through the gateway, as its token names them. */
export function gatewayRepositories(
  resources: readonly SessionResourceSpec[],
): readonly TokenRepository[] {
  return named(resources).map(({ resource, name }) => ({
    name,
    url: resource.url,
    vault_id: resource.credential?.vault_id ?? '',
    credential_id: resource.credential?.credential_id ?? '',
    push: resource.push ?? NOTHING,
  }));
}

/** From where the hand clones a repository: itself, or the gateway. */
export function remoteOf(
  resource: RepositorySpec,
  resources: readonly SessionResourceSpec[],
): string {
  const found = named(resources).find((one) => one.resource === resource);
  return found === undefined ? resource.url : `${REMOTE_ROOT}${found.name}.git`;
}

/** Those of one name are told apart by their place in the list. */
function named(
  resources: readonly SessionResourceSpec[],
): readonly { readonly resource: RepositorySpec; readonly name: string }[] {
  const taken = new Set<string>();
  return withCredential(resources).map((resource, index) => {
    const own = repositoryName(resource.url).slice(0, MAX_NAME_LENGTH);
    const name = taken.has(own) ? `${own}-${index}-again` : own;
    taken.add(name);
    return { resource, name };
  });
}
