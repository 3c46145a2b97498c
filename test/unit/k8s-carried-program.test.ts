import { expect, test } from 'vitest';
import { toHandJob } from '../../k8s/hand-job.ts';
import { toHandRecipe } from '../../k8s/hand-recipe.ts';
import { HandConfig } from '../../protocol/environment.ts';

function podOf(image: string | undefined, carriedBy: 'init_container' | 'image_volume') {
  const config = HandConfig.parse(image === undefined ? {} : { image });
  const options = { image: 'drover/sandbox:1', network: 'none', carriedBy } as const;
  const pod = toHandJob(toHandRecipe(config, options)).spec?.template.spec;
  const program = ({ name }: { readonly name: string }) => name === 'program';
  return {
    command: pod?.containers[0]?.command,
    image: pod?.containers[0]?.image,
    initContainers: pod?.initContainers,
    volume: pod?.volumes?.find(program),
    mount: pod?.containers[0]?.volumeMounts?.find(program),
    storage: pod?.containers[0]?.resources?.limits?.['ephemeral-storage'],
  };
}

test.each(['init_container', 'image_volume'] as const)(
  'the default sandbox, named or not → nothing is carried (%s)',
  (carriedBy) => {
    for (const image of [undefined, 'drover/sandbox:1']) {
      const { volume, mount, initContainers } = podOf(image, carriedBy);
      expect({ volume, mount, initContainers }).toEqual({});
    }
  },
);

test('another image → the same command, and an init container that copies what it needs', () => {
  const pod = podOf('own:1', 'init_container');
  expect(pod.command).toEqual(podOf(undefined, 'init_container').command);
  expect(pod).toMatchInlineSnapshot(`
    {
      "command": [
        "/opt/drover/bin/tini",
        "--",
        "/opt/drover/bin/node",
        "/opt/drover/k8s/sandbox/daemon.ts",
      ],
      "image": "own:1",
      "initContainers": [
        {
          "command": [
            "cp",
            "-r",
            "/opt/drover/.",
            "/carried",
          ],
          "image": "drover/sandbox:1",
          "imagePullPolicy": "IfNotPresent",
          "name": "carry",
          "resources": {
            "limits": {
              "cpu": "1000m",
              "ephemeral-storage": "5632Mi",
              "memory": "1024Mi",
            },
            "requests": {
              "cpu": "100m",
              "ephemeral-storage": "5632Mi",
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
              "mountPath": "/carried",
              "name": "program",
            },
          ],
        },
      ],
      "mount": {
        "mountPath": "/opt/drover",
        "name": "program",
        "readOnly": true,
      },
      "storage": "5632Mi",
      "volume": {
        "emptyDir": {
          "sizeLimit": "512Mi",
        },
        "name": "program",
      },
    }
  `);
});

test('another image, where nodes mount images → a volume of the default sandbox', () => {
  expect(podOf('own:1', 'image_volume')).toMatchInlineSnapshot(`
    {
      "command": [
        "/opt/drover/bin/tini",
        "--",
        "/opt/drover/bin/node",
        "/opt/drover/k8s/sandbox/daemon.ts",
      ],
      "image": "own:1",
      "initContainers": undefined,
      "mount": {
        "mountPath": "/opt/drover",
        "name": "program",
        "readOnly": true,
        "subPath": "opt/drover",
      },
      "storage": "5120Mi",
      "volume": {
        "image": {
          "pullPolicy": "IfNotPresent",
          "reference": "drover/sandbox:1",
        },
        "name": "program",
      },
    }
  `);
});
