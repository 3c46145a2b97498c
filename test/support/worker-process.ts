import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { stop } from './dev-server.ts';
import { COMPILED, giveBundle } from './used-state.ts';
import { waitFor } from './wait-for.ts';

const MAIN = fileURLToPath(new URL('../../workers/main.ts', import.meta.url));
/** A machine with other things to do is slow to load a program. */
const STARTS_WITHIN_MS = 120_000;

export interface WorkerProcess {
  /** Everything the current and earlier processes printed. */
  readonly output: () => string;
  readonly pid: () => number | undefined;
  /** SIGKILL; `respawn` starts another one. */
  kill(): Promise<void>;
  respawn(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A real worker process, as `npm start` runs it.
 *
 * @param wrap Command put in front of the worker's, which must become it.
 */
export async function startWorkerProcess(
  variables: Readonly<Record<string, string>>,
  wrap: readonly string[] = [],
): Promise<WorkerProcess> {
  const { DROVER_STATE_FOLDER: stateFolder } = variables;
  const isEncrypted = variables['DROVER_PAYLOAD_KEYS'] !== undefined;
  if (stateFolder !== undefined) await giveBundle(stateFolder, isEncrypted ? 'encoded' : 'clear');
  let output = '';
  let child: ChildProcess | undefined;

  async function respawn(): Promise<void> {
    const start = output.length;
    const [program = '', ...args] = [...wrap, process.execPath, MAIN];
    const started = spawn(program, args, {
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '',
        NODE_COMPILE_CACHE: COMPILED,
        ...variables,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    const isPolling = (): boolean => {
      if (started.exitCode !== null) throw new Error(`the worker ended: ${output.slice(start)}`);
      return output.slice(start).includes('drover worker: polling');
    };
    await waitFor('the worker to poll', isPolling, STARTS_WITHIN_MS);
  }

  await respawn();
  return {
    output: () => output,
    pid: () => child?.pid,
    kill: async () => child && (await stop(child, 'SIGKILL')),
    respawn,
    stop: async () => child && (await stop(child, 'SIGTERM')),
  };
}
