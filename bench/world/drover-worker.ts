import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startTied, type TiedProcess } from './tied-process.ts';

const ENTRY = fileURLToPath(new URL('../../workers/main.ts', import.meta.url));

export interface DroverWorkerOptions {
  readonly address: string;
  readonly folder: string;
  readonly modelUrl: string;
  readonly roles: 'all' | 'brain' | 'hands';
  readonly sandbox?: 'required' | 'unconfined';
  readonly handsTaskQueue?: string;
  /** Default: this worker makes no hands in a cluster. */
  readonly kubernetes?: {
    readonly kubeconfig: string;
    readonly namespace: string;
    readonly sandboxImage: string;
  };
}

/** The worker process of the product. Resolves once it polls. */
export async function startDroverWorker(options: DroverWorkerOptions): Promise<TiedProcess> {
  const stateFolder = join(options.folder, 'state');
  await mkdir(stateFolder, { recursive: true });
  const worker = startTied({
    name: 'the worker',
    command: process.execPath,
    arguments: [ENTRY],
    environment: {
      ...withoutSettings(process.env),
      TEMPORAL_ADDRESS: options.address,
      DROVER_STATE_FOLDER: stateFolder,
      DROVER_ROLES: options.roles,
      DROVER_SANDBOX: options.sandbox ?? 'required',
      DROVER_HANDS_TASK_QUEUE: options.handsTaskQueue ?? '',
      ANTHROPIC_BASE_URL: options.modelUrl,
      ANTHROPIC_API_KEY: 'bench',
      ...toVariables(options.kubernetes),
    },
    logPath: join(options.folder, 'worker.log'),
  });
  await worker.said('drover worker: polling');
  return worker;
}

function toVariables(kubernetes: DroverWorkerOptions['kubernetes']): Record<string, string> {
  if (kubernetes === undefined) return {};
  return {
    KUBECONFIG: kubernetes.kubeconfig,
    DROVER_KUBERNETES_NAMESPACE: kubernetes.namespace,
    DROVER_SANDBOX_IMAGE: kubernetes.sandboxImage,
  };
}

/** What the caller's shell says about servers, models and clusters is not meant for a bench. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name]) => !/^((TEMPORAL|DROVER|ANTHROPIC)_|KUBECONFIG$)/.test(name),
    ),
  );
}
