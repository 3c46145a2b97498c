import { type CredentialUse, nameOf } from './credential-use.ts';
import type { HandToken, TokenRepository } from './hand-token.ts';
import { Refusal } from './refusal.ts';

export interface GitCredential {
  /** Of the repository: the credential may be sent there. */
  readonly url: URL;
  readonly username: string;
  readonly secret: string;
}

/**
 * The credential of a repository.
 *
 * @throws {Refusal} There is none, or it is for another place: a session names both, and must not
 * choose where a secret goes.
 */
export async function readGitCredential(
  credentials: Pick<CredentialUse, 'secretFor'>,
  token: HandToken,
  { url: written, vault_id, credential_id }: TokenRepository,
): Promise<GitCredential> {
  const reference = { vault_id, credential_id };
  const secret = await credentials.secretFor(token, reference);
  const name = nameOf(reference);
  if (secret.type !== 'git')
    throw refused(`${name} is of type ${secret.type}, and not of type git`);
  const url = URL.parse(written);
  const granted = URL.parse(secret.url);
  if (url === null || granted === null || !coversRepository(granted, url)) {
    throw refused(`${name} is for another place than this repository, as its url says`);
  }
  return { url, username: secret.username, secret: secret.token.reveal() };
}

/** @param granted A repository's own address, or the beginning of those of many. */
export function coversRepository(granted: URL, { protocol, host, pathname }: URL): boolean {
  // What a server might read as another path.
  if (/%2f|%5c|%00|\\|\/\//i.test(pathname)) return false;
  if (granted.protocol !== protocol || granted.host !== host) return false;
  const above = withoutEnd(granted.pathname);
  const path = withoutEnd(pathname);
  return path === above || path.startsWith(`${above}/`);
}

function withoutEnd(path: string): string {
  return path.replace(/\/+$/, '').replace(/\.git$/, '');
}

function refused(words: string): Refusal {
  return new Refusal({ status: 403, reason: 'credential', words });
}
