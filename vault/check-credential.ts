import type { CredentialAuth } from '../protocol/credential.ts';
import { FAILURE } from '../protocol/failure.ts';
import { normalizeServerUrl } from '../protocol/mcp-server-url.ts';
import type { StoredCredential } from './stored.ts';
import { VaultError } from './vault-error.ts';

/** @throws VaultError when a refresh lacks what it needs */
export function checkUsable({ auth, values }: StoredCredential): void {
  if (auth.type !== 'mcp_oauth' || values?.type !== 'mcp_oauth' || auth.refresh === null) return;
  if (values.refresh_token === null) {
    throw invalid('names a token endpoint, but its value holds no "refresh_token"');
  }
  const { type } = auth.refresh.token_endpoint_auth;
  if (type === 'none' && values.client_secret !== null) {
    throw invalid('holds a "client_secret", which a token endpoint of kind none does not take');
  }
  if (type !== 'none' && values.client_secret === null) {
    throw invalid(`needs a "client_secret" in its value, since its endpoint is asked by ${type}`);
  }
}

/** @throws VaultError when the vault has one for the same use, so that nobody knew which is meant */
export function checkUnique(made: StoredCredential, others: readonly StoredCredential[]): void {
  const use = useOf(made.auth);
  const same = others.find(
    ({ id, auth, archived_at }) => archived_at === null && id !== made.id && useOf(auth) === use,
  );
  if (same === undefined) return;
  throw invalid(
    `is for the same use as credential ${same.id} of vault ${made.vault_id} (${use}): rotate or ` +
      'archive that one, or choose another vault',
  );
}

function useOf(auth: CredentialAuth): string {
  switch (auth.type) {
    case 'static_bearer':
    case 'mcp_oauth':
      return `MCP server ${normalizeServerUrl(auth.mcp_server_url)}`;
    case 'environment_variable':
      return `environment variable ${auth.secret_name}`;
    case 'git':
      return `git ${auth.url}`;
  }
}

function invalid(what: string): VaultError {
  return new VaultError(FAILURE.vaultInvalid, `the credential ${what}`);
}
