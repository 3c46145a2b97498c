import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { folderUrl, openStore } from '../../store/open-store.ts';
import type { Store } from '../../store/store.ts';
import { openVaultKeeper, type VaultKeeper } from '../../vault/keeper.ts';
import type { VaultSettings } from '../../vault/settings.ts';
import { type Harness, type HarnessOptions, startHarness } from './harness.ts';
import { runVaultWorker } from './run-vault-worker.ts';
import { makeVaultFolder } from './vault-folder.ts';

export interface McpHarness extends Harness {
  readonly keeper: VaultKeeper;
  readonly vaultSettings: VaultSettings;
  readonly store: Store;
  readonly openStore: () => Promise<Store>;
  /** Everything in the log of a session. */
  eventsOf(sessionId: string): Promise<SessionEvent[]>;
}

export interface McpHarnessOptions extends Omit<HarnessOptions, 'hands'> {
  readonly hands?: (openStore: () => Promise<Store>) => NonNullable<HarnessOptions['hands']>;
  /** Default: servers on this machine may be dialled. */
  readonly privateNetworks?: string;
  /** Default: yes. */
  readonly hasVaultWorker?: boolean;
}

/** A harness with a vault worker, a vault and a store of its own. */
export async function startMcpHarness(options: McpHarnessOptions): Promise<McpHarness> {
  const { hands, privateNetworks = '127.0.0.0/8', hasVaultWorker = true, ...rest } = options;
  const folder = await makeVaultFolder({ DROVER_VAULT_PRIVATE_NETWORKS: privateNetworks });
  const storeFolder = await mkdtemp(join(tmpdir(), 'drover-mcp-store-'));
  const store = await openStore(folderUrl(storeFolder));
  const opener = async (): Promise<Store> => store;
  const harness = await startHarness({ ...rest, ...(hands ? { hands: hands(opener) } : {}) });
  const keeper = openVaultKeeper(folder.settings());
  const stopWorker = hasVaultWorker
    ? await startVaultWorker(harness.taskQueue, folder.settings(), opener)
    : async () => {};
  return {
    ...harness,
    keeper,
    vaultSettings: folder.settings(),
    store,
    openStore: opener,
    eventsOf: async (sessionId) => [...(await harness.log.read(sessionId))],
    async stop() {
      await harness.stop();
      await stopWorker();
      keeper.close();
      await folder.remove();
      await rm(storeFolder, { recursive: true, force: true });
    },
  };
}

/** On the suite's server. */
export function startVaultWorker(
  sessionQueue: string,
  settings: Parameters<typeof runVaultWorker>[0]['settings'],
  opener: () => Promise<Store>,
): Promise<() => Promise<void>> {
  const address = inject('temporalAddress');
  return runVaultWorker({ address, sessionQueue, settings, openStore: opener });
}
