import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';
import { openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { LABEL, MANAGED_BY } from '../../k8s/hand-labels.ts';
import { withDeadline } from '../deadline.ts';
import { type ClusterAdmin, createClusterAdmin, type Manifest } from './cluster-admin.ts';

const READY_MS = 60_000;
const READY_POLL_MS = 100;
const MANIFESTS = fileURLToPath(new URL('../../k8s/manifests/', import.meta.url));

/** Namespaces of a caller's own, made from the manifests that are shipped. Close them. */
export interface ClusterNamespaces {
  /** Where workers are. */
  readonly workers: string;
  /** Where hands are. */
  readonly namespace: string;
  /** All that is shipped, in these namespaces. Its Deployments are not applied. */
  readonly manifests: readonly Manifest[];
  /** Kubeconfig of the hands worker's service account: it may do what its Role says. */
  readonly workerKubeconfig: string;
  readonly adminKubeconfig: string;
  /** As administrator. */
  readonly admin: ClusterAdmin;
  /** Jobs, pods and volume claims that Drover made and that are there still. */
  left(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface ClusterNamespacesOptions {
  readonly kubeconfig: string;
  /** Start of the names. */
  readonly prefix: string;
  /** Labels of the namespaces. */
  readonly labels?: Readonly<Record<string, string>>;
}

export async function openClusterNamespaces(
  options: ClusterNamespacesOptions,
): Promise<ClusterNamespaces> {
  const { kubeconfig, prefix, labels = {} } = options;
  const admin = createClusterAdmin(await openClusterAccess({ kubeconfig }));
  const workers = `${prefix}-${randomBytes(4).toString('hex')}`;
  const namespace = `${workers}-hands`;
  const manifests = shippedManifests({ drover: workers, 'drover-hands': namespace });
  for (const manifest of manifests.filter(({ kind }) => kind !== 'Deployment')) {
    await admin.create(manifest.kind === 'Namespace' ? labelled(manifest, labels) : manifest);
  }
  for (const name of [workers, namespace]) {
    await withDeadline(readiness(admin, name), READY_MS, `service account in ${name}`);
  }
  const workerKubeconfig = await kubeconfigOf(admin, workers);
  return {
    workers,
    namespace,
    manifests,
    workerKubeconfig,
    adminKubeconfig: kubeconfig,
    admin,
    left: () => listLeft(admin, `/namespaces/${namespace}`),
    async close() {
      rmSync(dirname(workerKubeconfig), { recursive: true, force: true });
      for (const name of [namespace, workers]) await admin.delete(`/api/v1/namespaces/${name}`);
      admin.access.close();
    },
  };
}

/** What Drover made and is there still, in one namespace or, with an empty `scope`, in all. */
export async function listLeft(admin: ClusterAdmin, scope: string): Promise<readonly string[]> {
  const query = { labelSelector: `${LABEL.managedBy}=${MANAGED_BY}` };
  const names = async (root: string, plural: string): Promise<string[]> => {
    const path = `${root}${scope}/${plural}`;
    const { items } = await admin.get<{ items: readonly Manifest[] }>(path, query);
    return items.map(({ metadata }) => `${plural} ${metadata.namespace ?? ''}/${metadata.name}`);
  };
  return [
    ...(await names('/apis/batch/v1', 'jobs')),
    ...(await names('/api/v1', 'pods')),
    ...(await names('/api/v1', 'persistentvolumeclaims')),
  ];
}

function labelled(manifest: Manifest, labels: Readonly<Record<string, string>>): Manifest {
  const { metadata } = manifest;
  return { ...manifest, metadata: { ...metadata, labels: { ...metadata.labels, ...labels } } };
}

/** What `kubectl apply -k` would apply, with namespaces renamed. */
function shippedManifests(rename: Readonly<Record<string, string>>): Manifest[] {
  const read = (file: string) =>
    parseAllDocuments(readFileSync(join(MANIFESTS, file), 'utf8')).map(
      (document) => document.toJS() as Manifest,
    );
  const [kustomization] = read('kustomization.yaml');
  const files = kustomization?.['resources'] as readonly string[];
  const present = readdirSync(MANIFESTS).filter((file) => file !== 'kustomization.yaml');
  const unlisted = present.filter((file) => !files.includes(file));
  if (unlisted.length > 0) throw new Error(`kustomization.yaml does not list ${unlisted}`);
  const renamed = (key: string, value: unknown, owner: unknown): unknown => {
    if (typeof value !== 'string') return value;
    const isNamespace = typeof owner === 'object' && owner !== null && 'kind' in owner;
    const isName = key === 'namespace' || key === 'kubernetes.io/metadata.name';
    if (isName || (key === 'name' && isNamespace)) return rename[value] ?? value;
    return value;
  };
  return files.flatMap(read).map(
    (manifest): Manifest =>
      JSON.parse(JSON.stringify(manifest), function (this: unknown, key, value: unknown) {
        return renamed(key, value, manifest.kind === 'Namespace' ? { kind: '' } : undefined);
      }),
  );
}

/** No pod can be made in a new namespace until the cluster has given it an account. */
async function readiness(admin: ClusterAdmin, namespace: string): Promise<void> {
  const query = { fieldSelector: 'metadata.name=default' };
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  for (;;) {
    const { items } = await admin.get<{ items: readonly Manifest[] }>(path, query);
    if (items.length > 0) return;
    await delay(READY_POLL_MS);
  }
}

async function kubeconfigOf(admin: ClusterAdmin, accountNamespace: string): Promise<string> {
  const { server, ca } = await serverOf(admin);
  const path = `/api/v1/namespaces/${accountNamespace}/serviceaccounts/drover-hands-worker/token`;
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const answer = await admin.post<{ readonly status: { readonly token: string } }>(path, request);
  const file = join(mkdtempSync(join(tmpdir(), 'drover-kubeconfig-')), 'kubeconfig');
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

async function serverOf({ access }: ClusterAdmin): Promise<{ server: string; ca: string }> {
  const { ca } = await access.requestOptions();
  if (!Buffer.isBuffer(ca)) throw new TypeError('the kubeconfig has no certificate authority');
  return { server: access.server.origin, ca: ca.toString('base64') };
}
