import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { V1Deployment, V1Service } from '@kubernetes/client-node';
import type { HandEgress } from '../../activities/hands/kubernetes/hand-egress.ts';
import type { Manifest } from '../../bench/cluster/cluster-admin.ts';
import { createAuthority } from '../../egress/certificate.ts';
import { type EgressKeys, readKeys } from '../../egress/keys.ts';
import { waitFor } from '../support/wait-for.ts';
import { type TestCluster, WORKER_IMAGE } from './test-cluster.ts';

const KEYS = `k1 ${Buffer.alloc(32, 'k').toString('base64')}\n`;
const AUTHORITY = createAuthority();
const CERTIFICATE = AUTHORITY.certificate.toString();

export interface DeployedEgress {
  /** As a worker is told of it. */
  readonly egress: HandEgress;
  readonly keys: EgressKeys;
}

/** As an operator makes it, who may put more beside it. */
export function egressSecret(
  namespace: string,
  also: Readonly<Record<string, string>> = {},
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'drover-egress', namespace },
    stringData: {
      keys: KEYS,
      'ca.crt': CERTIFICATE,
      'ca.key': AUTHORITY.key.export({ type: 'pkcs8', format: 'pem' }).toString(),
      ...also,
    },
  };
}

/**
 * The shipped proxy, which lets hands out to one private address, the host of the test's servers, and
 * knows names for it.
 *
 * @param names By address.
 */
export async function deployEgress(
  { admin, workers: namespace, manifests }: TestCluster,
  host: string,
  names: Readonly<Record<string, readonly string[]>>,
): Promise<DeployedEgress> {
  await admin.create(egressSecret(namespace));
  await admin.create(privateNetworkPolicy(namespace, host));
  const shipped = manifests.find(
    ({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'drover-egress',
  );
  await admin.create(withSettings(shipped, host, names));
  await waitFor(
    'the proxy to be ready',
    async () => {
      const path = `/apis/apps/v1/namespaces/${namespace}/deployments/drover-egress`;
      const { spec, status } = await admin.get<V1Deployment>(path);
      return status?.readyReplicas === spec?.replicas;
    },
    90_000,
  );
  const path = `/api/v1/namespaces/${namespace}/services/drover-egress`;
  const { spec } = await admin.get<V1Service>(path);
  const keys = readOnce();
  return {
    keys,
    egress: {
      proxy: { host: spec?.clusterIP ?? '', port: spec?.ports?.[0]?.port ?? 0 },
      readKeys: () => keys,
      readCertificate: () => CERTIFICATE,
    },
  };
}

/** Lets the proxy out to the host of the test's servers. */
export function privateNetworkPolicy(namespace: string, host: string): Manifest {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'egress-private', namespace },
    spec: {
      podSelector: { matchLabels: { 'app.kubernetes.io/name': 'drover-egress' } },
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: `${host}/32` } }] }],
    },
  };
}

/** The shipped Deployment of the proxy, which may reach this host by these names of it. */
export function withSettings(
  shipped: Manifest | undefined,
  host: string,
  names: Readonly<Record<string, readonly string[]>>,
): Manifest {
  const copy = structuredClone(shipped) as Manifest & V1Deployment;
  const pod = copy.spec?.template.spec;
  const [container] = pod?.containers ?? [];
  if (pod === undefined || container === undefined) throw new Error('the proxy has no container');
  pod.hostAliases = Object.entries(names).map(([ip, hostnames]) => ({
    ip,
    hostnames: [...hostnames],
  }));
  container.image = WORKER_IMAGE;
  const setting = container.env?.find(({ name }) => name === 'DROVER_EGRESS_PRIVATE_NETWORKS');
  if (setting === undefined) throw new Error('the proxy has no setting for private networks');
  setting.value = `${host}/32`;
  return copy;
}

function readOnce(): EgressKeys {
  const folder = mkdtempSync(join(tmpdir(), 'drover-egress-'));
  try {
    writeFileSync(join(folder, 'keys'), KEYS, { mode: 0o600 });
    return readKeys(join(folder, 'keys'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
