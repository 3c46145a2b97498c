import { readFileSync } from 'node:fs';
import type { V1Pod } from '@kubernetes/client-node';
import { LABEL } from '../../k8s/hand-labels.ts';
import { waitFor } from '../support/wait-for.ts';
import { SANDBOX_IMAGE, type TestCluster } from './test-cluster.ts';

/** In a pod there is no other module: they are one program. */
const PROGRAMS = ['../../bench/vault/git-backend.ts', './images/git-server.mjs'];
const PROGRAM = PROGRAMS.map((path) => readFileSync(new URL(path, import.meta.url), 'utf8')).join(
  '\n',
);
const NAME = 'git-server';

/** A Git server in the cluster, which hands with a network reach. Goes with the namespaces. */
export async function startGitServer(cluster: TestCluster): Promise<string> {
  const { admin, namespace } = cluster;
  const outside = namespace.replace(/-hands$/, '');
  await admin.create({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: NAME, namespace },
    spec: {
      podSelector: { matchLabels: { [LABEL.network]: 'unrestricted' } },
      policyTypes: ['Egress'],
      egress: [
        {
          to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': outside } } }],
        },
      ],
    },
  });
  await admin.create({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: NAME, namespace: outside },
    spec: {
      podSelector: { matchLabels: { app: NAME } },
      policyTypes: ['Ingress'],
      ingress: [{ ports: [{ protocol: 'TCP', port: 8080 }] }],
    },
  });
  await admin.create({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: NAME, namespace: outside, labels: { app: NAME } },
    spec: {
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1000,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: NAME,
          image: SANDBOX_IMAGE,
          imagePullPolicy: 'IfNotPresent',
          command: ['node', '--input-type=module-typescript', '-e', PROGRAM],
          securityContext: {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
          },
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
        },
      ],
    },
  });
  const path = `/api/v1/namespaces/${outside}/pods/${NAME}`;
  const ready = async (): Promise<string | undefined> => {
    const { status } = await admin.get<V1Pod>(path);
    const isReady = status?.conditions?.some(
      (one) => one.type === 'Ready' && one.status === 'True',
    );
    return isReady === true ? status?.podIP : undefined;
  };
  return `http://${await waitFor('the Git server', ready, 60_000)}:8080`;
}
