import type {
  CredentialAuth,
  CredentialInfo,
  CredentialReference,
  VaultInfo,
} from '../protocol/credential.ts';
import type { SecretValue } from './secret-value.ts';

type Auth<Type extends CredentialAuth['type']> = Extract<CredentialAuth, { type: Type }>;

/** A credential with its value. A refresh token never leaves the vault. */
export type CredentialSecret =
  | (Auth<'static_bearer'> & { readonly token: SecretValue })
  | (Auth<'mcp_oauth'> & { readonly access_token: SecretValue })
  | (Auth<'environment_variable'> & { readonly value: SecretValue })
  | (Auth<'git'> & { readonly token: SecretValue });

/**
 * Where credentials are read at the moment of use; only the roles `vault` and `egress` hold one.
 * Reads are cached for a few seconds, so a rotation is seen within that time. Everything throws
 * `VaultError` with a dotted failure type.
 */
export interface Vault {
  /** Undefined when there is none; archived ones are told by `archived_at`. */
  describe(vaultId: string): Promise<VaultInfo | undefined>;
  /** Those that are not archived, without values, by id. */
  credentials(vaultId: string): Promise<readonly CredentialInfo[]>;
  /** @throws VaultError `Vault.NotFound`, `Vault.CredentialNotFound`; archived ones are not found. */
  secret(reference: CredentialReference): Promise<CredentialSecret>;
  /**
   * The token to send now to the credential's MCP server. One of kind `mcp_oauth` is refreshed when
   * it has expired, or is the one that was `rejected`; among all processes only one asks the token
   * endpoint. A `static_bearer` token is returned as it is, rejected or not.
   *
   * @throws VaultError `Vault.WrongKind` for other kinds, `Vault.RefreshFailed` when the endpoint
   * refuses: somebody has to authorize again.
   */
  accessToken(
    reference: CredentialReference,
    options?: { readonly rejected?: string },
  ): Promise<string>;
  /** Base64, of those who open this vault and of nobody else: what they sign with it is theirs. */
  proofKey(): Promise<SecretValue>;
  /** Waits for what is being written, then keeps nothing. */
  close(): Promise<void>;
}
