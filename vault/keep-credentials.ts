import type { CredentialInfo, CredentialReference, VaultInfo } from '../protocol/credential.ts';
import { changeRecord, createRecord } from './change-record.ts';
import { checkUnique, checkUsable } from './check-credential.ts';
import { inParallel } from './in-parallel.ts';
import { check, NewCredential } from './new-records.ts';
import { credentialNotFound, vaultNotFound } from './not-found.ts';
import { readValues } from './read-values.ts';
import type { VaultRecords } from './records.ts';
import { archived, rotated } from './rotated.ts';
import {
  credentialName,
  credentialsFolder,
  readStoredCredential,
  type StoredCredential,
  toInfo,
} from './stored.ts';

export interface CredentialKeeping {
  /** @param text What `readValues` reads. */
  createCredential(credential: NewCredential, text: string): Promise<CredentialInfo>;
  /** Archived ones too. */
  listCredentials(vaultId: string): Promise<readonly CredentialInfo[]>;
  /** Puts other values in the place of those that are there, which are gone then. */
  rotateCredential(reference: CredentialReference, text: string): Promise<CredentialInfo>;
  /** Its values are gone for good. */
  archiveCredential(reference: CredentialReference): Promise<CredentialInfo>;
}

/** @param getVault Throws when there is none. */
export function keepCredentials(
  records: VaultRecords,
  getVault: (id: string) => Promise<VaultInfo>,
): CredentialKeeping {
  async function list(vaultId: string): Promise<readonly StoredCredential[]> {
    await getVault(vaultId);
    const ids = await records.list(credentialsFolder(vaultId));
    const names = ids.map((id) => credentialName({ vault_id: vaultId, credential_id: id }));
    const found = await inParallel(names, async (name) => {
      const record = await records.read(name);
      return record && readStoredCredential(name, record.body);
    });
    return found.filter((one) => one !== undefined);
  }

  async function change(
    reference: CredentialReference,
    make: (stored: StoredCredential) => StoredCredential,
  ): Promise<CredentialInfo> {
    const name = credentialName(reference);
    const changed = await changeRecord(records, name, readStoredCredential, make);
    if (changed === undefined) throw credentialNotFound(reference, undefined);
    await records.forgetBefore(name, changed.version);
    return toInfo(changed.value);
  }

  return {
    listCredentials: async (vaultId) => (await list(vaultId)).map(toInfo),

    async createCredential(credential, text) {
      const { auth, ...named } = check(NewCredential, 'credential', credential);
      const vault = await getVault(named.vault_id);
      if (vault.archived_at !== null) throw vaultNotFound(vault.id, vault);
      const now = new Date().toISOString();
      const made = rotated(
        {
          type: 'vault_credential',
          ...named,
          auth,
          created_at: now,
          updated_at: now,
          archived_at: null,
          values: null,
          attempt: null,
          lost_answer_at: null,
        },
        readValues(auth, text),
      );
      checkUsable(made);
      checkUnique(made, await list(vault.id));
      const name = credentialName({ vault_id: vault.id, credential_id: made.id });
      await createRecord(records, name, made, `credential ${made.id} in vault ${vault.id}`);
      return toInfo(made);
    },

    rotateCredential: (reference, text) =>
      change(reference, (stored) => {
        if (stored.archived_at !== null) throw credentialNotFound(reference, stored);
        const made = rotated(stored, readValues(stored.auth, text));
        checkUsable(made);
        return made;
      }),

    archiveCredential: (reference) => change(reference, archived),
  };
}
