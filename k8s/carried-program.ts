import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import { SANDBOX } from './sandbox/layout.ts';

/** How the daemon gets into a pod. */
export type ProgramSource =
  /** It is in the image of the hand. */
  | { readonly type: 'own_image' }
  /** An init container copies it out of the default sandbox; any cluster can. */
  | { readonly type: 'init_container'; readonly image: string }
  /** The default sandbox is mounted; for clusters whose nodes know volumes of images. */
  | { readonly type: 'image_volume'; readonly image: string };

/** Of the copy; it counts as storage of the pod. */
export const PROGRAM_MIB = 512;

const VOLUME = 'program';
const COPY_FOLDER = '/carried';

/** The spec of a pod whose container finds the daemon and its runtime where every sandbox has them. */
export function withProgram(spec: V1PodSpec, source: ProgramSource): V1PodSpec {
  switch (source.type) {
    case 'own_image':
      return spec;
    case 'init_container':
      return {
        ...withMount(spec, {}),
        volumes: [
          ...(spec.volumes ?? []),
          { name: VOLUME, emptyDir: { sizeLimit: `${PROGRAM_MIB}Mi` } },
        ],
        initContainers: spec.containers.map((container) => copierFor(container, source.image)),
      };
    case 'image_volume':
      return {
        ...withMount(spec, { subPath: SANDBOX.program.slice(1) }),
        volumes: [
          ...(spec.volumes ?? []),
          { name: VOLUME, image: { reference: source.image, pullPolicy: 'IfNotPresent' } },
        ],
      };
    default:
      return source satisfies never;
  }
}

function withMount(spec: V1PodSpec, more: { readonly subPath?: string }): V1PodSpec {
  const mount = { name: VOLUME, mountPath: SANDBOX.program, readOnly: true, ...more };
  return {
    ...spec,
    containers: spec.containers.map((container) => ({
      ...container,
      volumeMounts: [...(container.volumeMounts ?? []), mount],
    })),
  };
}

function copierFor({ resources, securityContext }: V1Container, image: string): V1Container {
  return {
    name: 'carry',
    image,
    imagePullPolicy: 'IfNotPresent',
    command: ['cp', '-r', `${SANDBOX.program}/.`, COPY_FOLDER],
    ...(resources === undefined ? {} : { resources }),
    ...(securityContext === undefined ? {} : { securityContext }),
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [{ name: VOLUME, mountPath: COPY_FOLDER }],
  };
}
