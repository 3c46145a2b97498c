import { FAILURE } from '../protocol/failure.ts';
import type { VaultRecords } from './records.ts';
import { VaultError } from './vault-error.ts';

const MAX_ATTEMPTS = 20;

/** @throws VaultError `Vault.Invalid` when it is there already */
export async function createRecord(
  records: VaultRecords,
  name: string,
  value: object,
  what: string,
): Promise<void> {
  if ((await records.write(name, JSON.stringify(value), 0)) !== undefined) return;
  throw new VaultError(
    FAILURE.vaultInvalid,
    `there is a ${what} already, maybe an archived one: choose another id`,
  );
}

export interface Changed<Value> {
  readonly value: Value;
  readonly version: number;
}

/**
 * Replaces what is there by what `change` makes of it, again when another process was faster.
 *
 * @param change Returns what it is given when there is nothing to write.
 * @returns Undefined when there is no such record.
 */
export async function changeRecord<Value extends object>(
  records: VaultRecords,
  name: string,
  read: (name: string, body: string) => Value,
  change: (value: Value) => Value,
): Promise<Changed<Value> | undefined> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const record = await records.read(name);
    if (record === undefined) return undefined;
    const current = read(name, record.body);
    const value = change(current);
    if (value === current) return { value, version: record.version };
    const version = await records.write(name, JSON.stringify(value), record.version);
    if (version !== undefined) return { value, version };
  }
  throw new VaultError(
    FAILURE.vaultUnavailable,
    `${name} of the vault was changed by others each time that it was to be written: try again`,
  );
}
