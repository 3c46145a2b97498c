import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { type ClusterNamespaces, openClusterNamespaces } from '../cluster/cluster-namespaces.ts';
import { progress } from '../report.ts';
import { type DroverWorkerOptions, startDroverWorker } from '../world/drover-worker.ts';
import type { TiedProcess } from '../world/tied-process.ts';
import { startWorld, type World } from '../world/world.ts';
import { type Audit, audit, type DeletedPod } from './audit.ts';
import { type CutProxy, startCutProxy } from './cut-proxy.ts';
import {
  type FaultKind,
  type Killable,
  podDeletion,
  streamCut,
  streamStall,
  workerKill,
} from './faults.ts';
import { openLedger } from './ledger.ts';
import { createLedgerPlayer } from './ledger-player.ts';
import { createRandomSource, type RandomSource } from './random-source.ts';
import { startSessionLanes } from './session-lanes.ts';

export interface ChaosOptions {
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly image: string;
  readonly seed: number;
  readonly faults: number;
  /** Sessions at once. */
  readonly lanes: number;
  /** Beside those that need no more than the cluster's API. */
  readonly moreKinds: readonly FaultKind[];
  /** Labels of the namespaces that it makes. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Fault {
  readonly kind: string;
  /** Until each session that was at work had gone on. */
  readonly recoveryMs: number | null;
}

export interface ChaosResult {
  readonly faults: readonly Fault[];
  readonly sessions: number;
  readonly audit: Audit;
  /** Jobs, pods and volumes that no session has any more. */
  readonly left: readonly string[];
}

const WORKERS = 2;
const AT_ONCE = 2;
const PAUSE_MS = { least: 200, most: 6_000 } as const;
const RETRY_MS = 500;
const STUCK_MS = 90_000;
const GONE_MS = 60_000;
const PROGRESS_EVERY = 10;

/** Breaks things at random while sessions work, and then compares what they say with what ran. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { kubeconfig, image, labels = {} } = options;
  await using stack = new AsyncDisposableStack();
  const namespaces = await openClusterNamespaces({ kubeconfig, prefix: 'drover-chaos', labels });
  stack.defer(() => namespaces.close());
  const ledger = await openLedger(namespaces, image);
  let isOver = false;
  const player = createLedgerPlayer({ commandFor: ledger.commandFor, isOver: () => isOver });
  const world = stack.use(await startWorld({ player }));
  const proxy = await startCutProxy(namespaces.admin.access.server);
  stack.defer(() => proxy.close());
  const workers = await startWorkers(world, namespaces, proxy, image);
  const deleted: DeletedPod[] = [];
  const kinds = [
    podDeletion(namespaces, deleted),
    streamCut(proxy),
    streamStall(proxy),
    workerKill(workers),
    ...options.moreKinds,
  ];
  const lanes = startSessionLanes(world, {
    lanes: options.lanes,
    environment: { provider: 'kubernetes', config: { memory_mib: 384 } },
    stuckMs: STUCK_MS,
    isOver: () => isOver,
  });
  const moments = await inflictAll(options.faults, kinds, options.seed);
  isOver = true;
  progress('no more faults; the sessions come to their ends');
  const records = await lanes.records;
  return {
    faults: moments.map(({ kind, atMs }) => ({ kind, recoveryMs: lanes.recoveryAfter(atMs) })),
    sessions: records.length,
    audit: audit(records, await ledger.read(), deleted),
    left: await whatStays(namespaces),
  };
}

async function startWorkers(
  world: World,
  namespaces: ClusterNamespaces,
  proxy: CutProxy,
  sandboxImage: string,
): Promise<readonly Killable[]> {
  const kubeconfig = await kubeconfigThrough(proxy, namespaces, world.folder);
  const { namespace } = namespaces;
  return Promise.all(
    Array.from({ length: WORKERS }, async (_, index) => {
      const folder = join(world.folder, `worker-${index}`);
      await mkdir(folder);
      const options: DroverWorkerOptions = {
        address: world.address,
        folder,
        modelUrl: world.model.url,
        roles: 'all',
        kubernetes: { kubeconfig, namespace, sandboxImage },
      };
      let worker: TiedProcess = await startDroverWorker(options);
      world.defer(() => worker.stop());
      return {
        kill: () => worker.kill(),
        async respawn() {
          worker = await startDroverWorker(options);
        },
      };
    }),
  );
}

/** The worker's own, by way of the proxy; a server's certificate names `kubernetes` everywhere. */
async function kubeconfigThrough(
  { port }: CutProxy,
  { workerKubeconfig }: ClusterNamespaces,
  folder: string,
): Promise<string> {
  const config = parse(await readFile(workerKubeconfig, 'utf8'));
  config.clusters[0].cluster.server = `https://127.0.0.1:${port}`;
  config.clusters[0].cluster['tls-server-name'] = 'kubernetes';
  const path = join(folder, 'kubeconfig');
  await writeFile(path, stringify(config), { mode: 0o600 });
  return path;
}

interface Moment {
  readonly kind: string;
  readonly atMs: number;
}

/** Several at once, as long as they are of different parts. */
async function inflictAll(
  count: number,
  kinds: readonly FaultKind[],
  seed: number,
): Promise<readonly Moment[]> {
  const moments: Moment[] = [];
  const broken = new Set<string>();
  const inflictMany = async (random: RandomSource): Promise<void> => {
    while (moments.length < count) {
      await delay(random.between(PAUSE_MS.least, PAUSE_MS.most));
      const kind = random.pick(kinds);
      if (broken.has(kind.part)) continue;
      broken.add(kind.part);
      const atMs = Date.now();
      const isDone = await inflict(kind, random);
      broken.delete(kind.part);
      if (!isDone) continue;
      moments.push({ kind: kind.name, atMs });
      if (moments.length % PROGRESS_EVERY === 0) progress(`${moments.length} faults`);
    }
  };
  const sources = Array.from({ length: AT_ONCE }, (_, index) => createRandomSource(seed + index));
  await Promise.all(sources.map(inflictMany));
  return moments;
}

/** A cluster that is away for a moment, by another fault, cannot be asked to break something. */
async function inflict(kind: FaultKind, random: RandomSource): Promise<boolean> {
  try {
    return await kind.inflict(random);
  } catch (error) {
    progress(`${kind.name} was not possible: ${error instanceof Error ? error.message : error}`);
    await delay(RETRY_MS);
    return false;
  }
}

async function whatStays(namespaces: ClusterNamespaces): Promise<readonly string[]> {
  const deadline = Date.now() + GONE_MS;
  for (;;) {
    const left = await namespaces.left();
    if (left.length === 0 || Date.now() > deadline) return left;
    await delay(RETRY_MS);
  }
}
