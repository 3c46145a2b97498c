import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { repeat } from '../activities/hands/kubernetes/repeat.ts';
import { createSessionChains } from '../activities/hands/kubernetes/session-chains.ts';
import { createSweeper } from '../activities/hands/kubernetes/sweeper.ts';
import type { WarmPools } from '../activities/hands/kubernetes/warm-pools.ts';
import { createEnvironmentReader } from '../activities/registry/registered-environments.ts';
import type { PayloadKeys } from '../codec/payload-codec.ts';
import type { HandCluster } from '../k8s/hand-cluster.ts';
import { createClientConverter } from './data-converter.ts';

const READ_REGISTRY_MS = 5_000;
const KEEP_POOLS_MS = 2_000;
const SWEEP_MS = 30_000;
const SWEEP_GRACE_MS = 120_000;

/**
 * What a hands worker does by itself: keeps warm pools, and sweeps Jobs that nobody wants. Every
 * worker does it; none depends on another one.
 *
 * @param closing Gets what must be stopped.
 */
export function keepHands(
  hands: {
    readonly connection: NativeConnection;
    readonly keys: PayloadKeys;
    readonly cluster: HandCluster;
    readonly pools: WarmPools;
  },
  closing: AsyncDisposableStack,
): void {
  const { connection, keys, cluster, pools } = hands;
  const { name: namespace } = cluster.temporalNamespace;
  const dataConverter = createClientConverter(keys);
  const client = new Client({ connection, namespace, dataConverter });
  const environments = createEnvironmentReader(client);
  const sweeper = createSweeper({
    cluster,
    chains: createSessionChains(client, cluster.temporalNamespace),
    whyUnwanted: (job) => pools.whyUnwanted(job),
    graceMs: SWEEP_GRACE_MS,
    log: (line) => console.log(`drover worker: ${line}`),
  });
  const read = async (): Promise<void> => pools.want(await environments.read());
  for (const { work, intervalMs, what } of [
    { work: read, intervalMs: READ_REGISTRY_MS, what: 'environments were not read' },
    { work: () => pools.keep(), intervalMs: KEEP_POOLS_MS, what: 'warm pools were not kept' },
    { work: () => sweeper.sweep(), intervalMs: SWEEP_MS, what: 'orphaned Jobs were not swept' },
  ]) {
    const onFailure = (error: unknown): void => {
      const words = error instanceof Error ? error.message : String(error);
      console.warn(`drover worker: warning: ${what}: ${words}`);
    };
    const repeating = repeat(work, { intervalMs, onFailure });
    closing.defer(() => repeating.stop());
  }
}
