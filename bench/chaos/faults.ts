import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { V1Pod } from '@kubernetes/client-node';
import { z } from 'zod';
import { LABEL, MANAGED_BY } from '../../k8s/hand-labels.ts';
import type { ClusterNamespaces } from '../cluster/cluster-namespaces.ts';
import { MissingInputError } from '../missing-input-error.ts';
import type { DeletedPod } from './audit.ts';
import type { CutProxy } from './cut-proxy.ts';
import type { RandomSource } from './random-source.ts';

/** One way in which something breaks. */
export interface FaultKind {
  readonly name: string;
  /** What it breaks: one fault at a time of each part. */
  readonly part: string;
  /** Does it; false when there is nothing to break. What must be mended is mended on return. */
  inflict(random: RandomSource): Promise<boolean>;
}

const MAX_CUT_BYTES = 3_000;
const MAX_STALL_MS = 7_000;
const COMMAND_TIMEOUT_MS = 120_000;

/** A sandbox is taken away, by force: what runs in it gets no notice. */
export function podDeletion(
  { admin, namespace }: ClusterNamespaces,
  deleted: DeletedPod[],
): FaultKind {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  return {
    name: 'pod delete --force',
    part: 'pods',
    async inflict(random) {
      const query = { labelSelector: `${LABEL.managedBy}=${MANAGED_BY}` };
      const { items } = await admin.get<{ items: V1Pod[] }>(path, query);
      const alive = items.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
      if (alive.length === 0) return false;
      const { metadata } = random.pick(alive);
      deleted.push({ uid: metadata?.uid ?? '', atMs: Date.now() });
      await admin.delete(`${path}/${metadata?.name}`, {
        gracePeriodSeconds: 0,
        preconditions: { uid: metadata?.uid },
      });
      return true;
    },
  };
}

export function streamCut(proxy: CutProxy): FaultKind {
  return {
    name: 'streams cut',
    part: 'streams',
    async inflict(random) {
      proxy.cutAfter(random.pick([0, 1, Math.floor(random.between(2, MAX_CUT_BYTES))]));
      return true;
    },
  };
}

/** Nothing passes, and nobody is told, until it breaks at last. */
export function streamStall(proxy: CutProxy): FaultKind {
  return {
    name: 'streams silent, then cut',
    part: 'streams',
    async inflict(random) {
      await proxy.stall(random.between(500, MAX_STALL_MS));
      return true;
    },
  };
}

export interface Killable {
  kill(): Promise<void>;
  respawn(): Promise<void>;
}

export function workerKill(workers: readonly Killable[]): FaultKind {
  return {
    name: 'worker SIGKILL',
    part: 'workers',
    async inflict(random) {
      const worker = random.pick(workers);
      await worker.kill();
      await delay(random.between(0, 500));
      await worker.respawn();
      return true;
    },
  };
}

const CommandFaults = z.array(
  z.strictObject({ name: z.string().min(1), command: z.array(z.string()).min(1) }),
);

/**
 * Faults of the cluster's own parts, which only its operator knows how to cause: a file of
 * `[{"name": "kubelet SIGKILL", "command": ["…"]}]`. A command ends once its part runs again.
 */
export async function commandFaults(path: string): Promise<FaultKind[]> {
  const parsed = CommandFaults.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (!parsed.success) throw new MissingInputError(`${path}: ${z.prettifyError(parsed.error)}`);
  return parsed.data.map(({ name, command: [program = '', ...rest] }) => ({
    name,
    part: 'cluster',
    async inflict() {
      await promisify(execFile)(program, rest, { timeout: COMMAND_TIMEOUT_MS });
      return true;
    },
  }));
}
