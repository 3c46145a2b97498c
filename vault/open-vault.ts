import { setTimeout as delay } from 'node:timers/promises';
import { createGuardedFetch } from '../dial/guarded-fetch.ts';
import type { CredentialInfo, VaultInfo } from '../protocol/credential.ts';
import { createAccessTokens } from './access-tokens.ts';
import { inParallel } from './in-parallel.ts';
import { credentialNotFound, vaultNotFound } from './not-found.ts';
import { openRecords } from './open-records.ts';
import { readProofKey } from './proof-key.ts';
import { createReadCache } from './read-cache.ts';
import type { SecretValue } from './secret-value.ts';
import type { VaultSettings } from './settings.ts';
import {
  credentialName,
  credentialsFolder,
  readStoredCredential,
  readStoredVault,
  type StoredCredential,
  toInfo,
  vaultName,
} from './stored.ts';
import { toSecret } from './to-secret.ts';
import type { Vault } from './vault.ts';

/** How long a rotation may go unseen. */
const KEPT_MS = 5_000;
const MAX_ENTRIES = 10_000;
/** For refreshes under way when the vault is closed: as long as an endpoint and a write may take. */
const CLOSE_MS = 15_000;

/** The vault that the settings name, with values. Nothing is asked of it yet. */
export function openVault(settings: VaultSettings): Vault {
  const records = openRecords(settings);
  const pending = new Set<Promise<unknown>>();
  const fetch = createGuardedFetch(settings);

  const vaults = createReadCache<VaultInfo | undefined>({
    keptMs: KEPT_MS,
    maxEntries: MAX_ENTRIES,
    read: async (name) => {
      const record = await records.read(name);
      return record && readStoredVault(name, record.body);
    },
  });
  const stored = createReadCache<StoredCredential | undefined>({
    keptMs: KEPT_MS,
    maxEntries: MAX_ENTRIES,
    read: async (name) => {
      const record = await records.read(name);
      return record && readStoredCredential(name, record.body);
    },
  });
  const lists = createReadCache<readonly CredentialInfo[]>({
    keptMs: KEPT_MS,
    maxEntries: MAX_ENTRIES,
    read: async (vaultId) => {
      const ids = await records.list(credentialsFolder(vaultId));
      const names = ids.map((id) => credentialName({ vault_id: vaultId, credential_id: id }));
      const found = await inParallel(names, (name) => stored.get(name));
      return found
        .filter((one) => one !== undefined && one.archived_at === null)
        .map((one) => toInfo(one as StoredCredential));
    },
  });

  const proofKeys = createReadCache<SecretValue>({
    keptMs: KEPT_MS,
    maxEntries: 1,
    read: () => readProofKey(records),
  });

  async function checkVault(vaultId: string): Promise<void> {
    const vault = await vaults.get(vaultName(vaultId));
    if (vault === undefined || vault.archived_at !== null) throw vaultNotFound(vaultId, vault);
  }

  const tokens = createAccessTokens({ records, fetch, pending, stored });
  return {
    describe: (vaultId) => vaults.get(vaultName(vaultId)),
    async credentials(vaultId) {
      await checkVault(vaultId);
      return lists.get(vaultId);
    },
    async secret(reference) {
      await checkVault(reference.vault_id);
      const found = await stored.get(credentialName(reference));
      if (found === undefined || found.values === null) throw credentialNotFound(reference, found);
      return toSecret(found);
    },
    async accessToken(reference, options = {}) {
      await checkVault(reference.vault_id);
      return tokens.get(reference, options);
    },
    proofKey: () => proofKeys.get(''),
    async close() {
      await settled(pending);
      for (const cache of [vaults, stored, lists, proofKeys]) cache.clear();
      records.close();
    },
  };
}

async function settled(pending: ReadonlySet<Promise<unknown>>): Promise<void> {
  const late = new AbortController();
  const limit = delay(CLOSE_MS, undefined, { signal: late.signal }).catch(() => {});
  const all = (async () => {
    while (pending.size > 0) await Promise.allSettled(pending);
  })();
  await Promise.race([all, limit]);
  late.abort();
}
