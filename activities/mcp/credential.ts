import type { AuthProvider } from '@modelcontextprotocol/client';
import type { CredentialReference } from '../../protocol/credential.ts';
import { normalizeServerUrl } from '../../protocol/mcp-server-url.ts';
import type { Vault } from '../../vault/vault.ts';
import type { Redactor } from './redactor.ts';

export type TokenVault = Pick<Vault, 'credentials' | 'accessToken'>;

/** The run of a workflow, as the activity's own info says. */
export interface Execution {
  readonly workflowId: string;
  readonly runId: string;
  readonly workflowType: string;
}

export interface Authority {
  /** @throws VaultError `Vault.NotPermitted` unless it is a session that may use the vault. */
  check(execution: Execution, vaultId: string): Promise<void>;
}

export interface CredentialSearch {
  readonly vault: TokenVault;
  readonly authority: Authority;
  readonly execution: Execution;
  readonly vaultIds: readonly string[];
}

/**
 * The credential for a server in the vaults of the session, by the server's URL and nothing else.
 *
 * @throws VaultError, also when the session may not use a vault that it names.
 */
export async function findCredential(
  { vault, authority, execution, vaultIds }: CredentialSearch,
  serverUrl: string,
): Promise<CredentialReference | undefined> {
  const wanted = normalizeServerUrl(serverUrl);
  for (const vault_id of vaultIds) {
    await authority.check(execution, vault_id);
    for (const { id, auth } of await vault.credentials(vault_id)) {
      if (auth.type !== 'static_bearer' && auth.type !== 'mcp_oauth') continue;
      if (normalizeServerUrl(auth.mcp_server_url) === wanted)
        return { vault_id, credential_id: id };
    }
  }
  return undefined;
}

/** Which token an answer was about: requests of one connection may be sent with different ones. */
export type SentTokens = WeakMap<object, string>;

/** Asks the vault before each request; after a 401 for another token than the one refused. */
export function createAuthProvider(
  reference: CredentialReference,
  deps: {
    readonly vault: TokenVault;
    readonly redactor: Redactor;
    readonly sentTokens: SentTokens;
  },
): AuthProvider {
  const { vault, redactor, sentTokens } = deps;
  return {
    async token() {
      const token = await vault.accessToken(reference);
      redactor.add(token);
      return token;
    },
    async onUnauthorized({ response }) {
      const rejected = sentTokens.get(response);
      if (rejected === undefined) return;
      redactor.add(await vault.accessToken(reference, { rejected }));
    },
  };
}
