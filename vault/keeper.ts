import { FAILURE } from '../protocol/failure.ts';
import { type CredentialKeeping, keepCredentials } from './keep-credentials.ts';
import { keepVaults, type VaultKeeping } from './keep-vaults.ts';
import { openRecords } from './open-records.ts';
import { reseal } from './reseal.ts';
import type { VaultSettings } from './settings.ts';
import { VaultError } from './vault-error.ts';

/**
 * The managing half of a vault, for people's commands alone: no value comes back. What it is given
 * is checked. Everything throws `VaultError`.
 */
export interface VaultKeeper extends VaultKeeping, CredentialKeeping {
  /** Seals every record with a folder's newest key. @returns how many. */
  reseal(): Promise<number>;
  close(): void;
}

/** Of the vault that the settings name. Nothing is asked of it yet. */
export function openVaultKeeper(settings: VaultSettings): VaultKeeper {
  const records = openRecords(settings);
  const vaults = keepVaults(records);
  const credentials = keepCredentials(records, vaults.getVault);
  return {
    ...vaults,
    ...credentials,
    /** Its credentials are archived with it, first: what fails is done by the same command again. */
    async archiveVault(id) {
      for (const { id: credential_id } of await credentials.listCredentials(id)) {
        await credentials.archiveCredential({ vault_id: id, credential_id });
      }
      return vaults.archiveVault(id);
    },
    async reseal() {
      if (settings.backend.type === 'folder') return reseal(records);
      throw new VaultError(
        FAILURE.vaultInvalid,
        'only a folder is sealed; DROVER_VAULT names kv://',
      );
    },
    close: () => records.close(),
  };
}
