import { expect, test } from 'vitest';
import { readEnvironment } from '../../workers/env.ts';

const DEFAULTS = {
  sandboxImage: 'drover/sandbox:0.1.0',
  carriedBy: 'init_container',
  egress: null,
} as const;

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
      DROVER_EGRESS_PROXY: 'drover-egress:80',
      DROVER_EGRESS_KEYS: '/keys',
    },
    {
      kubeconfig: '/k',
      namespace: 'n',
      sandboxImage: 'i',
      carriedBy: 'image_volume',
      egress: { proxy: { host: 'drover-egress', port: 80 } },
    },
  ],
])('%s → whether and where hands are made in a cluster', (_what, variables, kubernetes) => {
  expect(readEnvironment(variables).kubernetes).toEqual(kubernetes);
});

test.each<[Readonly<Record<string, string>>, string]>([
  [{ DROVER_EGRESS_PROXY: '10.0.0.5:3128' }, 'set DROVER_EGRESS_KEYS with DROVER_EGRESS_PROXY'],
  ...['10.0.0.5', 'http://10.0.0.5:3128', 'a@b:1', 'a:70000', 'a:1/', ':1'].map(
    (proxy) =>
      [
        { DROVER_EGRESS_PROXY: proxy, DROVER_EGRESS_KEYS: '/k' },
        'environment.DROVER_EGRESS_PROXY: must be host:port',
      ] as [Readonly<Record<string, string>>, string],
  ),
])('%j → refused: %s', (variables, words) => {
  expect(() => readEnvironment({ KUBECONFIG: '/k', ...variables })).toThrow(words);
});

test('[fd00::5]:3128 → the address and the port', () => {
  const variables = { DROVER_EGRESS_PROXY: '[fd00::5]:3128', DROVER_EGRESS_KEYS: '/k' };
  expect(readEnvironment({ KUBECONFIG: '/k', ...variables }).kubernetes?.egress?.proxy).toEqual({
    host: 'fd00::5',
    port: 3128,
  });
});
