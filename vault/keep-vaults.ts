import type { VaultInfo } from '../protocol/credential.ts';
import { changeRecord, createRecord } from './change-record.ts';
import { inParallel } from './in-parallel.ts';
import { check, NewVault } from './new-records.ts';
import { vaultNotFound } from './not-found.ts';
import type { VaultRecords } from './records.ts';
import { readStoredVault, VAULTS, vaultName } from './stored.ts';

export interface VaultKeeping {
  createVault(vault: NewVault): Promise<VaultInfo>;
  /** Archived ones too. */
  listVaults(): Promise<readonly VaultInfo[]>;
  getVault(id: string): Promise<VaultInfo>;
  /** Of itself, not of what is in it. */
  archiveVault(id: string): Promise<VaultInfo>;
}

export function keepVaults(records: VaultRecords): VaultKeeping {
  async function find(id: string): Promise<VaultInfo | undefined> {
    const record = await records.read(vaultName(id));
    return record && readStoredVault(vaultName(id), record.body);
  }

  async function getVault(id: string): Promise<VaultInfo> {
    const vault = await find(id);
    if (vault === undefined) throw vaultNotFound(id, undefined);
    return vault;
  }

  return {
    getVault,
    async createVault(vault) {
      const now = new Date().toISOString();
      const made: VaultInfo = {
        type: 'vault',
        ...check(NewVault, 'vault', vault),
        created_at: now,
        updated_at: now,
        archived_at: null,
      };
      await createRecord(records, vaultName(made.id), made, `vault ${made.id}`);
      return made;
    },
    async listVaults() {
      // A name may be left of one that was never written, or that was deleted on the server.
      const found = await inParallel(await records.list(VAULTS), find);
      return found.filter((vault) => vault !== undefined);
    },
    async archiveVault(id) {
      const now = new Date().toISOString();
      const archived = await changeRecord(records, vaultName(id), readStoredVault, (vault) =>
        vault.archived_at === null ? { ...vault, archived_at: now, updated_at: now } : vault,
      );
      if (archived === undefined) throw vaultNotFound(id, undefined);
      return archived.value;
    },
  };
}
