import { LABEL } from '../../k8s/hand-labels.ts';
import { hostOf, type TestCluster } from './test-cluster.ts';

/**
 * Lets hands that have a gateway reach one that runs where the suite does, and nothing else.
 *
 * @param port Of all addresses of this machine.
 * @returns where they find it.
 */
export async function letReach(
  cluster: TestCluster,
  port: number,
): Promise<{ readonly host: string; readonly port: number }> {
  const host = hostOf(cluster);
  await cluster.admin.create({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'near-gateway', namespace: cluster.namespace },
    spec: {
      podSelector: { matchLabels: { [LABEL.network]: 'limited' } },
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: `${host}/32` } }], ports: [{ protocol: 'TCP', port }] }],
    },
  });
  return { host, port };
}
