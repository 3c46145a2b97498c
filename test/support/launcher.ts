import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitFor } from './wait-for.ts';

const MAIN = fileURLToPath(new URL('../../launch/main.ts', import.meta.url));

/** One `npm start` on a state folder. */
export interface Launcher {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** The first match in what it printed. */
  until(pattern: RegExp): Promise<RegExpExecArray>;
  /** Its exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>;
}

export function startLauncher(
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
): Launcher {
  let output = '';
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  let ended = false;
  const exited = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      ended = true;
      resolve(code);
    });
  });
  return {
    child,
    output: () => output,
    exited,
    until: (pattern) =>
      waitFor(
        `${pattern}`,
        () => {
          const match = pattern.exec(output);
          if (match !== null) return match;
          if (ended) throw new Error(`it ended without ${pattern}:\n${output}`);
          return undefined;
        },
        60_000,
      ),
  };
}

export interface ServerRecord {
  readonly pid: number;
  readonly port: number;
  readonly uiPort: number;
}

/** The server that a state folder's launcher runs or ran. */
export async function serverOf(stateFolder: string): Promise<ServerRecord> {
  return JSON.parse(await readFile(join(stateFolder, 'temporal.json'), 'utf8'));
}

/** Process ids of all workers that a state folder's launchers started, oldest first. */
export async function workersOf(stateFolder: string): Promise<number[]> {
  const log = await readFile(join(stateFolder, 'worker.log'), 'utf8');
  return [...log.matchAll(/polling as .*\(pid (\d+)\)/g)].map((match) => Number(match[1]));
}
