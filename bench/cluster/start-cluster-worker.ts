import { startDroverWorker } from '../world/drover-worker.ts';
import type { World } from '../world/world.ts';
import type { BenchCluster } from './bench-cluster.ts';

/** A worker process with all roles, whose hands are in the bench's namespaces. Ends with the world. */
export async function startClusterWorker(
  world: World,
  { namespaces, image }: BenchCluster,
): Promise<void> {
  const { workerKubeconfig: kubeconfig, namespace } = namespaces;
  const worker = await startDroverWorker({
    address: world.address,
    folder: world.folder,
    modelUrl: world.model.url,
    roles: 'all',
    kubernetes: { kubeconfig, namespace, sandboxImage: image },
  });
  world.defer(() => worker.stop());
}
