import type { V1Container, V1Job, V1PodSpec } from '@kubernetes/client-node';
import { PROGRAM_MIB, withProgram } from './carried-program.ts';
import { ANNOTATION, digest, LABEL, MANAGED_BY } from './hand-labels.ts';
import type { HandRecipe } from './hand-recipe.ts';
import { SANDBOX } from './sandbox/layout.ts';

/** Name of the one container of a hand's pod. */
export const HAND_CONTAINER = 'hand';

/** Constant: what a stream is for comes by its standard input. */
export const ATTACH_COMMAND = [
  `${SANDBOX.program}/bin/socat`,
  '-t',
  '0.5',
  'STDIO',
  // It waits for a daemon that is still starting.
  `UNIX-CONNECT:${SANDBOX.socket},retry=500,interval=0.02`,
] as const;

/** A program that moves bulk, on a stream of its own. */
export const TRANSFER_COMMAND = [
  `${SANDBOX.program}/bin/node`,
  `${SANDBOX.program}/k8s/sandbox/transfer.ts`,
  '--serve',
] as const;

const USER = 1000;
/** Asked of the scheduler: a hand waits for its model most of its life. */
const REQUESTED_CPU_MILLIS = 100;
const STATE_MIB = 1024;
const GRACE_SECONDS = 5;
/** A node that is not ready for longer has lost its hands; a cluster waits for five minutes by default. */
const NODE_AWAY_SECONDS = 60;
/** Time in which a Job that ended can be looked at. */
const KEEP_ENDED_SECONDS = 300;

/**
 * The Job of a recipe, without a name: whose hand it is, or that it is nobody's yet, its metadata
 * says (`nameJob`). Pure: one recipe is one Job, to the byte. The pod's spec says nothing of a
 * session: what its hand is for comes by its stream.
 */
export function toHandJob(recipe: HandRecipe): V1Job {
  const labels = { [LABEL.managedBy]: MANAGED_BY, [LABEL.network]: recipe.network };
  const spec = {
    backoffLimit: 0,
    completions: 1,
    parallelism: 1,
    activeDeadlineSeconds: recipe.maxLifetimeSeconds,
    ttlSecondsAfterFinished: KEEP_ENDED_SECONDS,
    template: { metadata: { labels }, spec: withProgram(toPodSpec(recipe), recipe.program) },
  };
  // A Job of a pool is given its hand's lifetime as it is claimed.
  const { activeDeadlineSeconds: _ends, ...lasting } = spec;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      labels,
      annotations: { [ANNOTATION.specHash]: digest(JSON.stringify(lasting)) },
    },
    spec,
  };
}

function toPodSpec(recipe: HandRecipe): V1PodSpec {
  const { runtimeClassName, nodeSelector } = recipe;
  return {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [toContainer(recipe)],
    tolerations: ['not-ready', 'unreachable'].map((state) => ({
      key: `node.kubernetes.io/${state}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: NODE_AWAY_SECONDS,
    })),
    volumes: [
      { name: 'workspace', emptyDir: { sizeLimit: `${recipe.diskMib}Mi` } },
      { name: 'home', emptyDir: { sizeLimit: `${recipe.diskMib}Mi` } },
      { name: 'session', emptyDir: { sizeLimit: `${recipe.diskMib}Mi` } },
      { name: 'temporary', emptyDir: { sizeLimit: `${recipe.diskMib}Mi` } },
      { name: 'state', emptyDir: { sizeLimit: `${STATE_MIB}Mi` } },
    ],
    ...(runtimeClassName === null ? {} : { runtimeClassName }),
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector: { ...nodeSelector } }),
  };
}

function toContainer(recipe: HandRecipe): V1Container {
  const { image, program, cpuCores, memoryMib, diskMib } = recipe;
  const cpuMillis = Math.round(cpuCores * 1000);
  const memory = `${memoryMib}Mi`;
  const copyMib = program.type === 'init_container' ? PROGRAM_MIB : 0;
  const storage = `${diskMib + STATE_MIB + copyMib}Mi`;
  return {
    name: HAND_CONTAINER,
    image,
    imagePullPolicy: 'IfNotPresent',
    command: [
      `${SANDBOX.program}/bin/tini`,
      '--',
      `${SANDBOX.program}/bin/node`,
      `${SANDBOX.program}/k8s/sandbox/daemon.ts`,
    ],
    args: ['$(POD_UID)'],
    workingDir: SANDBOX.workspace,
    env: [
      { name: 'POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
      { name: 'NODE_COMPILE_CACHE', value: SANDBOX.compiled },
    ],
    resources: {
      requests: {
        cpu: `${Math.min(cpuMillis, REQUESTED_CPU_MILLIS)}m`,
        memory,
        'ephemeral-storage': storage,
      },
      limits: { cpu: `${cpuMillis}m`, memory, 'ephemeral-storage': storage },
    },
    securityContext: {
      allowPrivilegeEscalation: false,
      privileged: false,
      capabilities: { drop: ['ALL'] },
    },
    // A daemon that cannot start says why where `pods` can be read.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [
      { name: 'workspace', mountPath: SANDBOX.workspace },
      { name: 'home', mountPath: SANDBOX.home },
      { name: 'session', mountPath: SANDBOX.session },
      { name: 'temporary', mountPath: SANDBOX.temporary },
      { name: 'state', mountPath: SANDBOX.state },
    ],
  };
}
