import { NativeConnection } from '@temporalio/worker';
import { createMcpActivities } from '../../activities/mcp/activities.ts';
import { createLastFailureReader } from '../../activities/mcp/last-failure.ts';
import { createAuthority } from '../../activities/vault/authority.ts';
import { createGrantActivities } from '../../activities/vault/grant.ts';
import { createStartProofActivities } from '../../activities/vault/prove-start.ts';
import { createGuardedFetch } from '../../dial/guarded-fetch.ts';
import { createHistorySource } from '../../log/history-source.ts';
import { vaultQueueOf } from '../../protocol/task-queue.ts';
import type { Store } from '../../store/store.ts';
import { openVault } from '../../vault/open-vault.ts';
import type { VaultSettings } from '../../vault/settings.ts';
import { createVaultWorker } from '../../workers/create-worker.ts';

/**
 * A vault worker as `workers/main.ts` composes it, for the sessions of a queue of a test's own.
 *
 * @returns what ends it.
 */
export async function runVaultWorker(options: {
  readonly address: string;
  readonly sessionQueue: string;
  readonly settings: VaultSettings;
  readonly openStore: () => Promise<Store>;
}): Promise<() => Promise<void>> {
  const { address, sessionQueue, settings, openStore } = options;
  const connection = await NativeConnection.connect({ address });
  const { workflowService: service } = connection;
  const vault = openVault(settings);
  const source = createHistorySource({ service, namespace: 'default' });
  const authority = createAuthority({ source, vault });
  const { close, ...mcp } = createMcpActivities({
    vault,
    authority,
    fetch: createGuardedFetch(settings),
    openStore,
    lastFailure: createLastFailureReader({ service, namespace: 'default' }),
  });
  const worker = await createVaultWorker({
    connection,
    namespace: 'default',
    taskQueue: vaultQueueOf(sessionQueue),
    activities: {
      ...createGrantActivities({ vault, authority }),
      ...createStartProofActivities({ authority }),
      ...mcp,
    },
  });
  const running = worker.run();
  return async () => {
    // A process that is told to stop has told its workers already.
    if (worker.getState() === 'RUNNING') worker.shutdown();
    await running;
    await close();
    await vault.close();
    await connection.close();
  };
}
