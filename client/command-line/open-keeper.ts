import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { openVaultKeeper, type VaultKeeper } from '../../vault/keeper.ts';
import { readVaultSettings } from '../../vault/settings.ts';

/**
 * Works on the vaults that a worker of this user on this machine has, unless `DROVER_VAULT` names
 * others; then ends what that began.
 */
export async function withKeeper<Result>(
  work: (keeper: VaultKeeper) => Promise<Result>,
  variables: NodeJS.ProcessEnv = process.env,
): Promise<Result> {
  const { DROVER_STATE_FOLDER: state = '' } = variables;
  const folder = state === '' ? join(homedir(), '.local', 'state', 'drover') : resolve(state);
  const keeper = openVaultKeeper(readVaultSettings(variables, folder));
  try {
    return await work(keeper);
  } finally {
    keeper.close();
  }
}
