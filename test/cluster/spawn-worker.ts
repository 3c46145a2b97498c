import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { SANDBOX_IMAGE, type TestCluster } from './test-cluster.ts';

const CHILD = fileURLToPath(new URL('./worker-child.ts', import.meta.url));

/** A worker in a process of its own, for one order. */
export function spawnWorker(
  { workerKubeconfig: kubeconfig, namespace }: TestCluster,
  order: object,
): ChildProcess & { readonly said: Promise<string> } {
  const argument = JSON.stringify({ kubeconfig, namespace, image: SANDBOX_IMAGE, ...order });
  const child = spawn(process.execPath, [CHILD, argument], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout?.on('data', (chunk) => {
    text += String(chunk);
  });
  return Object.assign(child, { said: once(child, 'close').then(() => text) });
}
