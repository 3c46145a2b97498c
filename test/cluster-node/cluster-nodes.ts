import type { V1Node } from '@kubernetes/client-node';
import type { ClusterAdmin } from '../../bench/cluster/cluster-admin.ts';

const NODES = '/api/v1/nodes';
const NAME = 'drover-test-nominal';
const BEAT_MS = 5_000;

/** `True`, `False` or `Unknown`, of each node but the nominal one. */
export async function readinessOf(admin: ClusterAdmin): Promise<readonly string[]> {
  const { items } = await admin.get<{ items: readonly V1Node[] }>(NODES);
  return items
    .filter(({ metadata }) => metadata?.name !== NAME)
    .flatMap(({ status }) => status?.conditions ?? [])
    .flatMap(({ type, status }) => (type === 'Ready' ? [status] : []));
}

/** A second node in name, which is ready as far as the cluster can tell, and takes no pods. */
export async function addNominalNode(admin: ClusterAdmin): Promise<AsyncDisposable> {
  await admin.create({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: NAME },
    spec: { taints: [{ key: 'drover.test/nominal', effect: 'NoSchedule' }] },
  });
  const since = new Date().toISOString();
  const beat = async (): Promise<void> => {
    const lastHeartbeatTime = new Date().toISOString();
    const ready = { type: 'Ready', status: 'True', reason: 'Test', message: 'in name' };
    const conditions = [{ ...ready, lastHeartbeatTime, lastTransitionTime: since }];
    await admin.patch(`${NODES}/${NAME}/status`, { status: { conditions } });
  };
  await beat();
  const beating = setInterval(() => void beat().catch(() => {}), BEAT_MS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(beating);
      await admin.delete(`${NODES}/${NAME}`);
    },
  };
}
