import { expect, test } from 'vitest';
import { readEnvironment } from '../../workers/env.ts';

const IMAGE = 'drover/sandbox:0.1.0';

test.each([
  ['nothing', {}, null],
  ['an empty kubeconfig', { KUBECONFIG: '' }, null],
  [
    'a kubeconfig',
    { KUBECONFIG: '/k' },
    { kubeconfig: '/k', namespace: 'drover-hands', sandboxImage: IMAGE },
  ],
  [
    'a namespace alone, as in a pod',
    { DROVER_KUBERNETES_NAMESPACE: 'n' },
    { kubeconfig: null, namespace: 'n', sandboxImage: IMAGE },
  ],
  [
    'all',
    { KUBECONFIG: '/k', DROVER_KUBERNETES_NAMESPACE: 'n', DROVER_SANDBOX_IMAGE: 'i' },
    { kubeconfig: '/k', namespace: 'n', sandboxImage: 'i' },
  ],
])('%s → whether and where hands are made in a cluster', (_what, variables, kubernetes) => {
  expect(readEnvironment(variables).kubernetes).toEqual(kubernetes);
});
