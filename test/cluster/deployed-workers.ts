import type { V1Deployment, V1Pod } from '@kubernetes/client-node';
import type { Manifest } from '../../bench/cluster/cluster-admin.ts';
import { waitFor } from '../support/wait-for.ts';
import { egressSecret } from './deployed-egress.ts';
import { SANDBOX_IMAGE, type TestCluster, WORKER_IMAGE } from './test-cluster.ts';

export type Role = 'brain' | 'hands';

export interface DeployedWorkers {
  podsOf(role: Role): Promise<readonly V1Pod[]>;
  deletePod(name: string, graceSeconds: number): Promise<void>;
  /** Waits until every replica is ready. */
  untilReady(): Promise<void>;
}

export interface Surroundings {
  /** Of the Temporal server and of the model, on this machine's loopback interface. */
  readonly temporalPort: number;
  readonly modelPort: number;
}

/**
 * The shipped Deployments, told where servers of this machine are. Pods reach it where they reach
 * the API server of a cluster that runs on it, or at `DROVER_TEST_HOST`.
 */
export async function deployWorkers(
  cluster: TestCluster,
  { temporalPort, modelPort }: Surroundings,
): Promise<DeployedWorkers> {
  const { admin, workers: namespace, manifests } = cluster;
  const host = process.env['DROVER_TEST_HOST'] ?? admin.access.server.hostname;
  await admin.patch(`/api/v1/namespaces/${namespace}/configmaps/drover-worker`, {
    data: {
      TEMPORAL_ADDRESS: `${host}:${temporalPort}`,
      ANTHROPIC_BASE_URL: `http://${host}:${modelPort}`,
      DROVER_KUBERNETES_NAMESPACE: cluster.namespace,
      DROVER_SANDBOX_IMAGE: SANDBOX_IMAGE,
    },
  });
  await admin.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'drover-model', namespace },
    stringData: { ANTHROPIC_API_KEY: 'rehearsal' },
  });
  await admin.create(egressSecret(namespace));
  const egress = manifests.find(
    ({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'worker-egress',
  );
  await admin.patch(
    `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies/worker-egress`,
    { spec: withPorts(egress, { 7233: temporalPort, 443: modelPort }) },
  );
  const deployments = manifests.filter(({ kind }) => kind === 'Deployment');
  for (const deployment of deployments) await admin.create(withImage(deployment));
  return toDeployedWorkers(cluster, deployments);
}

function toDeployedWorkers(
  { admin, workers: namespace }: TestCluster,
  deployments: readonly Manifest[],
): DeployedWorkers {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const isReady = async ({ metadata }: Manifest): Promise<boolean> => {
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${metadata.name}`;
    const { spec, status } = await admin.get<V1Deployment>(path);
    return status?.readyReplicas === spec?.replicas;
  };
  return {
    async podsOf(role) {
      const labelSelector = `app.kubernetes.io/name=drover-${role}`;
      return (await admin.get<{ items: readonly V1Pod[] }>(pods, { labelSelector })).items;
    },
    deletePod: (name, gracePeriodSeconds) =>
      admin.delete(`${pods}/${name}`, { gracePeriodSeconds }),
    async untilReady() {
      const areReady = async (): Promise<boolean> =>
        (await Promise.all(deployments.map(isReady))).every(Boolean);
      await waitFor('the deployed workers to be ready', areReady, 150_000);
    },
  };
}

/** As an operator does whose servers are on other ports. */
function withPorts(policy: Manifest | undefined, ports: Readonly<Record<number, number>>): unknown {
  return JSON.parse(JSON.stringify(policy?.['spec']), (key, value: unknown) =>
    key === 'port' && typeof value === 'number' ? (ports[value] ?? value) : value,
  );
}

function withImage(deployment: Manifest): Manifest {
  const copy = structuredClone(deployment) as Manifest & V1Deployment;
  for (const container of copy.spec?.template.spec?.containers ?? []) {
    container.image = WORKER_IMAGE;
  }
  return copy;
}
