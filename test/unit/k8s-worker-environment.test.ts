import { expect, test } from 'vitest';
import { readEnvironment } from '../../workers/env.ts';

const DEFAULTS = { sandboxImage: 'drover/sandbox:0.1.0', carriedBy: 'init_container' } as const;

test.each([
  ['nothing', {}, null],
  ['an empty kubeconfig', { KUBECONFIG: '' }, null],
  [
    'a kubeconfig',
    { KUBECONFIG: '/k' },
    { ...DEFAULTS, kubeconfig: '/k', namespace: 'drover-hands' },
  ],
  [
    'a namespace alone, as in a pod',
    { DROVER_KUBERNETES_NAMESPACE: 'n' },
    { ...DEFAULTS, kubeconfig: null, namespace: 'n' },
  ],
  [
    'all',
    {
      KUBECONFIG: '/k',
      DROVER_KUBERNETES_NAMESPACE: 'n',
      DROVER_SANDBOX_IMAGE: 'i',
      DROVER_KUBERNETES_IMAGE_VOLUMES: 'true',
    },
    { kubeconfig: '/k', namespace: 'n', sandboxImage: 'i', carriedBy: 'image_volume' },
  ],
])('%s → whether and where hands are made in a cluster', (_what, variables, kubernetes) => {
  expect(readEnvironment(variables).kubernetes).toEqual(kubernetes);
});
