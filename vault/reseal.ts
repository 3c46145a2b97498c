import { FAILURE } from '../protocol/failure.ts';
import { inParallel } from './in-parallel.ts';
import { PROOF_KEYS } from './proof-key.ts';
import type { VaultRecords } from './records.ts';
import { credentialName, credentialsFolder, VAULTS, vaultName } from './stored.ts';
import { VaultError } from './vault-error.ts';

const MAX_ATTEMPTS = 20;

/** Writes every record anew, so that the newest key seals it. @returns how many. */
export async function reseal(records: VaultRecords): Promise<number> {
  const vaults = await records.list(VAULTS);
  const inVaults = await inParallel(vaults, async (vault_id) => {
    const ids = await records.list(credentialsFolder(vault_id));
    return ids.map((credential_id) => credentialName({ vault_id, credential_id }));
  });
  const proofKeys = (await records.list(PROOF_KEYS)).map((id) => `${PROOF_KEYS}/${id}`);
  const names = [...vaults.map(vaultName), ...inVaults.flat(), ...proofKeys];
  await inParallel(names, (name) => resealRecord(records, name));
  return names.length;
}

async function resealRecord(records: VaultRecords, name: string): Promise<void> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const record = await records.read(name);
    if (record === undefined) return;
    if ((await records.write(name, record.body, record.version)) !== undefined) return;
  }
  throw new VaultError(
    FAILURE.vaultUnavailable,
    `${name} of the vault was changed by others each time that it was to be sealed: try again`,
  );
}
