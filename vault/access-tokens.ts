import type { CredentialReference } from '../protocol/credential.ts';
import { FAILURE } from '../protocol/failure.ts';
import { credentialNotFound } from './not-found.ts';
import { asOauth, type OauthCredential } from './oauth/oauth-credential.ts';
import { type RefreshOptions, refreshCredential } from './oauth/refresh-credential.ts';
import type { ReadCache } from './read-cache.ts';
import { credentialName, type StoredCredential } from './stored.ts';
import { VaultError } from './vault-error.ts';

/** Before its end a token is refreshed, since a request takes time too. */
const MARGIN_MS = 10_000;

export interface AccessTokensOptions extends RefreshOptions {
  readonly stored: ReadCache<StoredCredential | undefined>;
}

export interface AccessTokens {
  get(reference: CredentialReference, options: { readonly rejected?: string }): Promise<string>;
}

/** Tokens for MCP servers; of one process only one caller refreshes a credential at a time. */
export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  const { stored, pending } = options;
  const running = new Map<string, Promise<OauthCredential>>();

  /** From the token that is stale: who comes later with another one does not join. */
  function refresh(name: string, staleToken: string): Promise<OauthCredential> {
    const key = JSON.stringify([name, staleToken]);
    const known = running.get(key);
    if (known !== undefined) return known;
    const started = refreshCredential(name, staleToken, options).finally(() => {
      running.delete(key);
      pending.delete(started);
      stored.forget(name);
    });
    running.set(key, started);
    pending.add(started);
    return started;
  }

  return {
    async get(reference, { rejected }) {
      const name = credentialName(reference);
      const isGood = (one: OauthCredential) =>
        one.values.access_token !== rejected && !isEnding(one.auth.expires_at);
      const known = tokenHolder(reference, await stored.get(name));
      if (known.type === 'static') return known.token;
      if (isGood(known.credential)) return known.credential.values.access_token;
      // Another process may have refreshed it since it was read.
      const latest = tokenHolder(reference, await stored.refresh(name));
      if (latest.type === 'static') return latest.token;
      if (isGood(latest.credential)) return latest.credential.values.access_token;
      const refreshed = await refresh(name, latest.credential.values.access_token);
      return refreshed.values.access_token;
    },
  };
}

type TokenHolder =
  | { readonly type: 'static'; readonly token: string }
  | { readonly type: 'oauth'; readonly credential: OauthCredential };

function tokenHolder(
  reference: CredentialReference,
  stored: StoredCredential | undefined,
): TokenHolder {
  if (stored === undefined || stored.values === null) throw credentialNotFound(reference, stored);
  if (stored.values.type === 'static_bearer') return { type: 'static', token: stored.values.token };
  const credential = asOauth(stored);
  if (credential !== undefined) return { type: 'oauth', credential };
  throw new VaultError(
    FAILURE.vaultWrongKind,
    `credential ${stored.id} of vault ${stored.vault_id} is of kind ${stored.auth.type}: an MCP ` +
      'server needs one of kind static_bearer or mcp_oauth',
  );
}

function isEnding(expiresAt: string | null): boolean {
  return expiresAt !== null && Date.parse(expiresAt) - Date.now() < MARGIN_MS;
}
