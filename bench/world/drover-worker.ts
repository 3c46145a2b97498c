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
    },
    logPath: join(options.folder, 'worker.log'),
  });
  await worker.said('drover worker: polling');
  return worker;
}

/** What the caller's shell says about servers and models is not meant for a bench. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !/^(TEMPORAL|DROVER|ANTHROPIC)_/.test(name)),
  );
}
