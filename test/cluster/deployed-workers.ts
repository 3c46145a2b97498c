import type { V1Deployment, V1Pod } from '@kubernetes/client-node';
import type { Manifest } from '../../bench/cluster/cluster-admin.ts';
import { waitFor } from '../support/wait-for.ts';
import { egressSecret, privateNetworkPolicy, withSettings } from './deployed-egress.ts';
import type { OutsideReach } from './outside-servers.ts';
import { hostOf, SANDBOX_IMAGE, type TestCluster, WORKER_IMAGE } from './test-cluster.ts';

const KILLED = ['brain', 'hands'] as const;
export type Role = (typeof KILLED)[number];

/** Of the servers outside, beside the gateway's keys. */
const CERTIFICATE = 'outside.crt';

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
  /** Absent: there is no vault, and nothing for credentials. */
  readonly outside?: OutsideReach | undefined;
}

/**
 * The shipped Deployments, told where servers of this machine are.
 */
export async function deployWorkers(
  cluster: TestCluster,
  { temporalPort, modelPort, outside }: Surroundings,
): Promise<DeployedWorkers> {
  const { admin, workers: namespace, manifests } = cluster;
  const host = hostOf(cluster);
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
  const certificate = outside === undefined ? {} : { [CERTIFICATE]: outside.certificate };
  await admin.create(egressSecret(namespace, certificate));
  const ports = { 7233: temporalPort, 443: modelPort, 8200: outside?.vaultPort ?? 8200 };
  for (const name of ['worker-egress', 'vault-worker-egress', 'egress-proxy']) {
    const policy = manifests.find(
      ({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === name,
    );
    const path = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies/${name}`;
    await admin.patch(path, { spec: withPorts(policy, ports) });
  }
  if (outside !== undefined) {
    const path = `/api/v1/namespaces/${namespace}/configmaps/drover-vault`;
    await admin.patch(path, { data: outside.settings });
    await admin.create(privateNetworkPolicy(namespace, host));
  }
  const deployments = manifests.filter(({ kind }) => kind === 'Deployment');
  for (const deployment of deployments) {
    const isGateway = deployment.metadata.name === 'drover-egress';
    const changed = withImage(deployment);
    await admin.create(
      isGateway && outside !== undefined ? withOutside(changed, host, outside) : changed,
    );
  }
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

/** As an operator does whose servers have an authority of their own. */
function withOutside(deployment: Manifest, host: string, { names }: OutsideReach): Manifest {
  const copy = withSettings(deployment, host, { [host]: names }) as Manifest & V1Deployment;
  const value = `/etc/drover/egress/${CERTIFICATE}`;
  copy.spec?.template.spec?.containers[0]?.env?.push({ name: 'NODE_EXTRA_CA_CERTS', value });
  return copy;
}

/** One replica will do of those that no test kills: each is a program that takes a node its time to load. */
function withImage(deployment: Manifest): Manifest {
  const copy = structuredClone(deployment) as Manifest & V1Deployment;
  const isKilled = KILLED.some((role) => deployment.metadata.name === `drover-${role}`);
  if (copy.spec !== undefined && !isKilled) copy.spec.replicas = 1;
  for (const container of copy.spec?.template.spec?.containers ?? []) {
    container.image = WORKER_IMAGE;
  }
  return copy;
}
