import { MissingInputError } from '../missing-input-error.ts';

export interface ClusterInput {
  /** Of an administrator: benches make namespaces of their own. */
  readonly kubeconfig: string;
  /** The sandbox image, as the cluster's nodes know it. */
  readonly image: string;
}

/** @throws MissingInputError without a cluster. */
export function clusterInput(): ClusterInput {
  const kubeconfig = process.env['KUBECONFIG'];
  if (kubeconfig === undefined) throw new MissingInputError('set KUBECONFIG to a cluster');
  return { kubeconfig, image: process.env['DROVER_SANDBOX_IMAGE'] ?? 'drover/sandbox:0.1.0' };
}
