import type { CredentialReference } from '../protocol/credential.ts';
import { FAILURE } from '../protocol/failure.ts';
import { VaultError } from './vault-error.ts';

interface Archivable {
  readonly archived_at: string | null;
}

/** @param archived What is there, when it is an archived one. */
export function vaultNotFound(vaultId: string, archived: Archivable | undefined): VaultError {
  const why =
    archived === undefined
      ? `there is no vault ${vaultId}: create it, or correct the session's vault_ids`
      : `vault ${vaultId} was archived at ${archived.archived_at}: name another one`;
  return new VaultError(FAILURE.vaultNotFound, why);
}

export function credentialNotFound(
  { vault_id, credential_id }: CredentialReference,
  archived: Archivable | undefined,
): VaultError {
  const why =
    archived === undefined
      ? `vault ${vault_id} has no credential ${credential_id}: create it, or correct its id`
      : `credential ${credential_id} of vault ${vault_id} was archived at ${archived.archived_at}`;
  return new VaultError(FAILURE.vaultCredentialNotFound, why);
}
