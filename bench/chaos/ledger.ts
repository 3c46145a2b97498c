import { setTimeout as delay } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import { openExecStream } from '../../k8s/connection/exec-stream.ts';
import { LABEL, MANAGED_BY } from '../../k8s/hand-labels.ts';
import type { ClusterAdmin } from '../cluster/cluster-admin.ts';
import type { ClusterNamespaces } from '../cluster/cluster-namespaces.ts';
import { withDeadline } from '../deadline.ts';

/** One run of a command, as it said itself when it began. */
export interface LedgerLine {
  /** Which command. */
  readonly key: string;
  /** A fresh id of each run: a line that was sent twice is one run, two ids are two. */
  readonly run: string;
}

/** A file outside of all sandboxes that commands append to. It ends with its namespaces. */
export interface Ledger {
  /** A shell command that appends a line and then takes its time. */
  commandFor(key: string, seconds: number): string;
  read(): Promise<readonly LedgerLine[]>;
}

const NAME = 'ledger';
const PORT = 8080;
const START_MS = 60_000;
const END = 'end of the ledger';

const SERVER = `
const { appendFileSync } = require('node:fs');
require('node:http').createServer((request, response) => {
  let line = '';
  request.on('data', (chunk) => { line += chunk; });
  request.on('end', () => {
    appendFileSync('/ledger/lines', line + '\\n');
    response.end();
  });
}).listen(${PORT});
`;

/** Starts it as a pod beside the workers, and lets hands out to it and nowhere else. */
export async function openLedger(namespaces: ClusterNamespaces, image: string): Promise<Ledger> {
  const { admin, workers } = namespaces;
  await admin.create(ledgerPod(workers, image));
  for (const policy of policiesOf(namespaces)) await admin.create(policy);
  const address = await withDeadline(addressOf(admin, workers), START_MS, 'ledger pod');
  return {
    commandFor(key, seconds) {
      const send =
        'curl -s --connect-timeout 1 --max-time 5 --retry 60 --retry-delay 1 --retry-all-errors ' +
        `-d "${key} $run" http://${address}:${PORT}/`;
      return (
        `run=$(cat /proc/sys/kernel/random/uuid); ${send} && sleep ${seconds} && ` +
        `echo "line ${key} run $run"`
      );
    },
    read: () => readLines(admin, workers).catch(() => readLines(admin, workers)),
  };
}

function ledgerPod(namespace: string, image: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: NAME, namespace, labels: { app: NAME } },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1000,
        fsGroup: 1000,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: NAME,
          image,
          imagePullPolicy: 'IfNotPresent',
          command: ['node', '-e', SERVER],
          resources: { requests: { cpu: '50m' }, limits: { memory: '256Mi' } },
          securityContext: {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
          },
          volumeMounts: [{ name: 'lines', mountPath: '/ledger' }],
        },
      ],
      volumes: [{ name: 'lines', emptyDir: {} }],
    },
  };
}

function policiesOf({ workers, namespace }: ClusterNamespaces) {
  const hands = { matchLabels: { [LABEL.managedBy]: MANAGED_BY } };
  const ledger = { matchLabels: { app: NAME } };
  const named = (name: string) => ({ matchLabels: { 'kubernetes.io/metadata.name': name } });
  const ports = [{ protocol: 'TCP', port: PORT }];
  const policy = (place: string, spec: object) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: NAME, namespace: place },
    spec,
  });
  return [
    policy(namespace, {
      podSelector: hands,
      policyTypes: ['Egress'],
      egress: [{ to: [{ namespaceSelector: named(workers), podSelector: ledger }], ports }],
    }),
    policy(workers, {
      podSelector: ledger,
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ namespaceSelector: named(namespace), podSelector: hands }], ports }],
    }),
  ];
}

async function addressOf(admin: ClusterAdmin, namespace: string): Promise<string> {
  for (;;) {
    const pod = await admin.get<V1Pod>(`/api/v1/namespaces/${namespace}/pods/${NAME}`);
    const { containerStatuses, podIP } = pod.status ?? {};
    const isRunning = containerStatuses?.[0]?.state?.running !== undefined;
    if (isRunning && podIP !== undefined) return podIP;
    await delay(100);
  }
}

async function readLines({ access }: ClusterAdmin, namespace: string): Promise<LedgerLine[]> {
  const stream = await openExecStream(access, {
    namespace,
    pod: NAME,
    container: NAME,
    // It waits to be left: what a stream still holds may be lost with its end.
    command: ['sh', '-c', `cat /ledger/lines; echo ${END}; sleep 60`],
  });
  let text = '';
  const closed = new Promise<void>((resolve) => stream.once('close', resolve));
  stream.on('error', () => {});
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (text.endsWith(`${END}\n`)) stream.destroy();
  });
  await closed;
  if (!text.endsWith(`${END}\n`)) throw new Error('the ledger could not be read to its end');
  return text
    .split('\n')
    .slice(0, -2)
    .map((line) => {
      const [key = '', run = ''] = line.split(' ');
      return { key, run };
    });
}
