import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { type ClusterAccess, openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { ClusterError } from '../../k8s/connection/cluster-error.ts';
import { requestJson } from '../../k8s/connection/request.ts';
import { LABEL, MANAGED_BY } from '../../k8s/hand-labels.ts';
import { waitFor } from '../support/wait-for.ts';

const KUBECONFIG = process.env['KUBECONFIG'];
const MANIFESTS = fileURLToPath(new URL('../../k8s/manifests/', import.meta.url));

/** The sandbox image, as the cluster's nodes know it. */
export const SANDBOX_IMAGE = process.env['DROVER_SANDBOX_IMAGE'] ?? 'drover/sandbox:0.1.0';

/** Any object of the cluster's API, as JSON. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

/** Namespaces of a test file's own, made from the manifests that are shipped. */
export interface TestCluster {
  /** Where hands are. */
  readonly namespace: string;
  /** Kubeconfig of the hands worker's service account: it may do what its Role says. */
  readonly workerKubeconfig: string;
  readonly adminKubeconfig: string;
  /** As administrator. */
  readonly admin: Admin;
}

export interface Admin {
  readonly access: ClusterAccess;
  get<T>(path: string, query?: Record<string, string>): Promise<T>;
  create(manifest: Manifest): Promise<unknown>;
  delete(path: string, body?: object): Promise<void>;
}

/** A suite that needs a cluster: skipped without `KUBECONFIG`, which `CI=true` does not accept. */
export function describeCluster(name: string, define: (cluster: () => TestCluster) => void): void {
  if (KUBECONFIG === undefined) {
    if (process.env['CI'] === 'true') {
      test(name, () => expect.fail('CI needs a cluster: set KUBECONFIG'));
    } else {
      test.skip(`SKIPPED, set KUBECONFIG: ${name}`, () => {});
    }
    return;
  }
  describe(name, () => {
    let opened: TestCluster | undefined;
    beforeAll(async () => {
      opened = await openTestCluster(KUBECONFIG);
    });
    afterAll(async () => {
      if (opened === undefined) return;
      try {
        await expectNothingLeft(opened);
      } finally {
        await closeTestCluster(opened);
      }
    });
    define(() => {
      if (opened === undefined) throw new Error('the cluster is not open yet');
      return opened;
    });
  });
}

async function openTestCluster(kubeconfig: string): Promise<TestCluster> {
  const admin = toAdmin(await openClusterAccess({ kubeconfig }));
  const base = `drover-test-${randomBytes(4).toString('hex')}`;
  const namespace = `${base}-hands`;
  for (const manifest of shippedManifests({ drover: base, 'drover-hands': namespace })) {
    await admin.create(manifest);
  }
  const workerKubeconfig = await kubeconfigOf(admin, base);
  return { namespace, workerKubeconfig, adminKubeconfig: kubeconfig, admin };
}

/** What `kubectl apply -k` would apply, with namespaces renamed. */
function shippedManifests(rename: Readonly<Record<string, string>>): Manifest[] {
  const read = (file: string) =>
    parseAllDocuments(readFileSync(join(MANIFESTS, file), 'utf8')).map(
      (document) => document.toJS() as Manifest,
    );
  const [kustomization] = read('kustomization.yaml');
  const files = kustomization?.['resources'] as readonly string[];
  expect(readdirSync(MANIFESTS).sort()).toEqual([...files, 'kustomization.yaml'].sort());
  const renamed = (key: string, value: unknown, owner: unknown): unknown => {
    if (typeof value !== 'string') return value;
    const isNamespace = typeof owner === 'object' && owner !== null && 'kind' in owner;
    if (key === 'namespace' || (key === 'name' && isNamespace)) return rename[value] ?? value;
    return value;
  };
  return files.flatMap(read).map(
    (manifest): Manifest =>
      JSON.parse(JSON.stringify(manifest), function (this: unknown, key, value: unknown) {
        return renamed(key, value, manifest.kind === 'Namespace' ? { kind: '' } : undefined);
      }),
  );
}

/** The account is new: its token comes once the cluster has seen it. */
async function kubeconfigOf(admin: Admin, accountNamespace: string): Promise<string> {
  const [{ server, ca }] = [await serverOf(admin)];
  const path = `/api/v1/namespaces/${accountNamespace}/serviceaccounts/drover-hands-worker/token`;
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const answer = (await requestJson(admin.access, { method: 'POST', path, body: request })) as {
    readonly status: { readonly token: string };
  };
  const folder = mkdtempSync(join(tmpdir(), 'drover-cluster-test-'));
  const file = join(folder, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': ca } }],
    users: [{ name: 'worker', user: { token: answer.status.token } }],
    contexts: [{ name: 'worker', context: { cluster: 'c', user: 'worker' } }],
    'current-context': 'worker',
  };
  writeFileSync(file, stringify(config), { mode: 0o600 });
  return file;
}

async function serverOf({ access }: Admin): Promise<{ server: string; ca: string }> {
  const { ca } = await access.requestOptions();
  if (!Buffer.isBuffer(ca)) throw new TypeError('the kubeconfig has no certificate authority');
  return { server: access.server.origin, ca: ca.toString('base64') };
}

const PLURAL: Readonly<Record<string, string>> = {
  Namespace: 'namespaces',
  ServiceAccount: 'serviceaccounts',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  NetworkPolicy: 'networkpolicies',
  ResourceQuota: 'resourcequotas',
  LimitRange: 'limitranges',
  Job: 'jobs',
  Pod: 'pods',
};

function toAdmin(access: ClusterAccess): Admin {
  return {
    access,
    get: async <T>(path: string, query: Record<string, string> = {}) =>
      (await requestJson(access, { method: 'GET', path, query })) as T,
    create(manifest) {
      const { apiVersion, kind, metadata } = manifest;
      const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
      const where = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
      const path = `${root}${where}/${PLURAL[kind]}`;
      return requestJson(access, { method: 'POST', path, body: manifest });
    },
    async delete(path, body) {
      try {
        const more = body === undefined ? {} : { body };
        await requestJson(access, { method: 'DELETE', path, ...more });
      } catch (error) {
        if (!(error instanceof ClusterError) || error.status !== 404) throw error;
      }
    },
  };
}

/** No Job and no pod of ours may outlive what used it. */
export async function expectNothingLeft({ admin, namespace }: TestCluster): Promise<void> {
  const query = { labelSelector: `${LABEL.managedBy}=${MANAGED_BY}` };
  const names = async (path: string): Promise<string[]> => {
    const { items } = await admin.get<{ items: readonly Manifest[] }>(path, query);
    return items.map(({ metadata }) => metadata.name);
  };
  const left = async (): Promise<string[]> => [
    ...(await names(`/apis/batch/v1/namespaces/${namespace}/jobs`)),
    ...(await names(`/api/v1/namespaces/${namespace}/pods`)),
  ];
  const isEmpty = async (): Promise<boolean> => (await left()).length === 0;
  await waitFor('Jobs and pods to be gone', isEmpty, 30_000).catch(() => {});
  expect(await left()).toEqual([]);
}

async function closeTestCluster(cluster: TestCluster): Promise<void> {
  const { admin, namespace, workerKubeconfig } = cluster;
  rmSync(dirname(workerKubeconfig), { recursive: true, force: true });
  for (const name of [namespace, namespace.replace(/-hands$/, '')]) {
    await admin.delete(`/api/v1/namespaces/${name}`);
  }
  admin.access.close();
}
