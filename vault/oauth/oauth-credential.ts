import type { CredentialAuth } from '../../protocol/credential.ts';
import type { CredentialValues, StoredCredential } from '../stored.ts';

/** A stored credential of kind `mcp_oauth` that is not archived. */
export type OauthCredential = StoredCredential & {
  readonly auth: Extract<CredentialAuth, { type: 'mcp_oauth' }>;
  readonly values: Extract<CredentialValues, { type: 'mcp_oauth' }>;
};

/** Undefined for one of another kind, or an archived one. */
export function asOauth(stored: StoredCredential): OauthCredential | undefined {
  const { auth, values } = stored;
  if (auth.type !== 'mcp_oauth' || values?.type !== 'mcp_oauth') return undefined;
  return { ...stored, auth, values };
}
