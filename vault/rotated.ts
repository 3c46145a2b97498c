import type { NewValues } from './read-values.ts';
import type { CredentialValues, StoredCredential } from './stored.ts';

/** The credential with new values. What was begun with the earlier ones is void. */
export function rotated(stored: StoredCredential, given: NewValues): StoredCredential {
  const { auth } = stored;
  return {
    ...stored,
    auth: auth.type === 'mcp_oauth' ? { ...auth, expires_at: given.expiresAt ?? null } : auth,
    values: merged(stored.values, given.values),
    updated_at: new Date().toISOString(),
    attempt: null,
    lost_answer_at: null,
  };
}

/** What a new access token comes without stays as it was. */
function merged(earlier: CredentialValues | null, given: CredentialValues): CredentialValues {
  if (earlier?.type !== 'mcp_oauth' || given.type !== 'mcp_oauth') return given;
  return {
    ...given,
    refresh_token: given.refresh_token ?? earlier.refresh_token,
    client_secret: given.client_secret ?? earlier.client_secret,
  };
}

/** Without its values. */
export function archived(stored: StoredCredential): StoredCredential {
  if (stored.archived_at !== null) return stored;
  const now = new Date().toISOString();
  return { ...stored, values: null, attempt: null, archived_at: now, updated_at: now };
}
