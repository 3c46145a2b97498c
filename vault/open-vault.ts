import { FAILURE } from '../protocol/failure.ts';
import type { VaultSettings } from './settings.ts';
import type { Vault } from './vault.ts';
import { VaultError } from './vault-error.ts';

/** The vault that the settings name. Nothing is asked of it yet. */
export function openVault(_settings: VaultSettings): Vault {
  const none = async (): Promise<never> => {
    throw new VaultError(FAILURE.vaultNotFound, 'no vault can be opened yet');
  };
  return {
    describe: none,
    credentials: none,
    secret: none,
    accessToken: none,
    close: async () => {},
  };
}
