import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { toHandJob } from '../../k8s/hand-job.ts';
import { ANNOTATION } from '../../k8s/hand-labels.ts';
import { type HandRecipe, toHandRecipe } from '../../k8s/hand-recipe.ts';
import { HandConfig } from '../../protocol/environment.ts';

const OPTIONS = { image: 'drover/sandbox:1', network: 'none' } as const;

function jobOf(config: object = {}, change: Partial<HandRecipe> = {}) {
  return toHandJob({ ...toHandRecipe(HandConfig.parse(config), OPTIONS), ...change });
}

test('a recipe of defaults → this Job', () => {
  expect(jobOf()).toMatchInlineSnapshot(`
    {
      "apiVersion": "batch/v1",
      "kind": "Job",
      "metadata": {
        "annotations": {
          "drover.dev/spec-hash": "b82ee3100c92d24c890c2747547be983",
        },
        "labels": {
          "app.kubernetes.io/managed-by": "drover",
          "drover.dev/network": "none",
        },
      },
      "spec": {
        "activeDeadlineSeconds": 86400,
        "backoffLimit": 0,
        "completions": 1,
        "parallelism": 1,
        "template": {
          "metadata": {
            "labels": {
              "app.kubernetes.io/managed-by": "drover",
              "drover.dev/network": "none",
            },
          },
          "spec": {
            "automountServiceAccountToken": false,
            "containers": [
              {
                "args": [
                  "$(POD_UID)",
                ],
                "command": [
                  "/opt/drover/bin/tini",
                  "--",
                  "/opt/drover/bin/node",
                  "/opt/drover/k8s/sandbox/daemon.ts",
                ],
                "env": [
                  {
                    "name": "POD_UID",
                    "valueFrom": {
                      "fieldRef": {
                        "fieldPath": "metadata.uid",
                      },
                    },
                  },
                  {
                    "name": "NODE_COMPILE_CACHE",
                    "value": "/opt/drover/compiled",
                  },
                ],
                "image": "drover/sandbox:1",
                "imagePullPolicy": "IfNotPresent",
                "name": "hand",
                "resources": {
                  "limits": {
                    "cpu": "1000m",
                    "ephemeral-storage": "5120Mi",
                    "memory": "1024Mi",
                  },
                  "requests": {
                    "cpu": "100m",
                    "ephemeral-storage": "5120Mi",
                    "memory": "1024Mi",
                  },
                },
                "securityContext": {
                  "allowPrivilegeEscalation": false,
                  "capabilities": {
                    "drop": [
                      "ALL",
                    ],
                  },
                  "privileged": false,
                },
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [
                  {
                    "mountPath": "/workspace",
                    "name": "workspace",
                  },
                  {
                    "mountPath": "/home/drover",
                    "name": "home",
                  },
                  {
                    "mountPath": "/mnt/session",
                    "name": "session",
                  },
                  {
                    "mountPath": "/tmp",
                    "name": "temporary",
                  },
                  {
                    "mountPath": "/run/drover",
                    "name": "state",
                  },
                ],
                "workingDir": "/workspace",
              },
            ],
            "enableServiceLinks": false,
            "restartPolicy": "Never",
            "securityContext": {
              "fsGroup": 1000,
              "runAsGroup": 1000,
              "runAsNonRoot": true,
              "runAsUser": 1000,
              "seccompProfile": {
                "type": "RuntimeDefault",
              },
            },
            "terminationGracePeriodSeconds": 5,
            "tolerations": [
              {
                "effect": "NoExecute",
                "key": "node.kubernetes.io/not-ready",
                "operator": "Exists",
                "tolerationSeconds": 60,
              },
              {
                "effect": "NoExecute",
                "key": "node.kubernetes.io/unreachable",
                "operator": "Exists",
                "tolerationSeconds": 60,
              },
            ],
            "volumes": [
              {
                "emptyDir": {
                  "sizeLimit": "4096Mi",
                },
                "name": "workspace",
              },
              {
                "emptyDir": {
                  "sizeLimit": "4096Mi",
                },
                "name": "home",
              },
              {
                "emptyDir": {
                  "sizeLimit": "4096Mi",
                },
                "name": "session",
              },
              {
                "emptyDir": {
                  "sizeLimit": "4096Mi",
                },
                "name": "temporary",
              },
              {
                "emptyDir": {
                  "sizeLimit": "1024Mi",
                },
                "name": "state",
              },
            ],
          },
        },
        "ttlSecondsAfterFinished": 300,
      },
    }
  `);
});

test('all that a config can say is in the pod', () => {
  const spec = jobOf({
    image: 'own/image:2',
    cpu_cores: 0.05,
    memory_mib: 256,
    disk_mib: 100,
    max_lifetime_seconds: 60,
    runtime_class_name: 'gvisor',
    node_selector: { pool: 'hands' },
  }).spec;
  const pod = spec?.template.spec;
  expect(spec?.activeDeadlineSeconds).toBe(60);
  expect(pod).toMatchObject({ runtimeClassName: 'gvisor', nodeSelector: { pool: 'hands' } });
  expect(pod?.containers[0]).toMatchObject({
    image: 'own/image:2',
    resources: {
      requests: { cpu: '50m', memory: '256Mi', 'ephemeral-storage': '1636Mi' },
      limits: { cpu: '50m', memory: '256Mi', 'ephemeral-storage': '1636Mi' },
    },
  });
  expect(pod?.volumes?.[0]).toEqual({ name: 'workspace', emptyDir: { sizeLimit: '100Mi' } });
});

describe('spec hash', () => {
  const hashOf = (job: ReturnType<typeof jobOf>) =>
    job.metadata?.annotations?.[ANNOTATION.specHash];

  test('the same recipe → the same', () => {
    expect(hashOf(jobOf())).toBe(hashOf(jobOf()));
  });

  test.each([
    ['image', { image: 'x' }],
    ['memory', { memory_mib: 65 }],
    ['node selector', { node_selector: { a: 'b' } }],
  ])('another %s → another', (_what, config) => {
    expect(hashOf(jobOf(config))).not.toBe(hashOf(jobOf()));
  });

  test('another network → another', () => {
    expect(hashOf(jobOf({}, { network: 'unrestricted' }))).not.toBe(hashOf(jobOf()));
  });
});

test('the Role of a hands worker is this and nothing more', () => {
  const file = new URL('../../k8s/manifests/hands-worker-role.yaml', import.meta.url);
  const role = parseAllDocuments(readFileSync(file, 'utf8'))
    .map((document) => document.toJS() as { kind: string; rules?: unknown })
    .find(({ kind }) => kind === 'Role');
  expect(role?.rules).toEqual([
    {
      apiGroups: ['batch'],
      resources: ['jobs'],
      verbs: ['create', 'get', 'list', 'watch', 'delete', 'patch'],
    },
    { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
    { apiGroups: [''], resources: ['pods/exec'], verbs: ['get', 'create'] },
    { apiGroups: [''], resources: ['events'], verbs: ['list'] },
  ]);
});

test('the sandbox has the toolset of the workers', () => {
  const versionIn = (file: string): unknown => {
    const { dependencies } = parse(
      readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'),
    ) as { dependencies: Record<string, string> };
    return dependencies['@anthropic-ai/sdk'];
  };
  expect(versionIn('k8s/sandbox/package.json')).toBe(versionIn('package.json'));
});
