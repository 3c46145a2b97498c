import { spawn } from 'node:child_process';
import type { RunningCall } from './tool.ts';

/** A program of setting up, which talks to nobody. */
export interface ProgramOptions {
  readonly folder: string;
  readonly variables: NodeJS.ProcessEnv;
  /** Told what it says. */
  readonly call: RunningCall;
}

export type ProgramEnd =
  | { readonly type: 'exited'; readonly succeeded: boolean; readonly said: string }
  /** There is no such program in the image. */
  | { readonly type: 'missing' };

const MAX_SAID_BYTES = 4_000;
const PROGRESS_MS = 200;

/** Runs a program to its end, keeping the end of what it says. */
export function runProgram(
  [program, ...words]: readonly [string, ...string[]],
  { folder, variables, call }: ProgramOptions,
): Promise<ProgramEnd> {
  const child = spawn(program, words, {
    cwd: folder,
    env: variables,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let kept = Buffer.alloc(0);
  let bytes = 0;
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length;
    kept = Buffer.concat([kept, chunk]).subarray(-MAX_SAID_BYTES);
  };
  child.stdout.on('data', onData);
  child.stderr.on('data', onData);
  const progress = setInterval(
    () => call.onProgress({ tail: lastLine(readable(kept)), output_bytes: bytes }),
    PROGRESS_MS,
  );
  const stop = (): void => void child.kill('SIGKILL');
  call.signal.addEventListener('abort', stop, { once: true });
  return new Promise<ProgramEnd>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve({ type: 'missing' });
      else resolve({ type: 'exited', succeeded: false, said: error.message });
    });
    child.once('close', (code, signal) => {
      const said = readable(kept).trim();
      const how = signal === null ? `exit ${code}` : `killed by ${signal}`;
      resolve({ type: 'exited', succeeded: code === 0, said: said === '' ? how : said });
    });
  }).finally(() => {
    clearInterval(progress);
    call.signal.removeEventListener('abort', stop);
  });
}

/** A line that was written over is what it was written over with. */
function readable(bytes: Buffer): string {
  const lines = bytes.toString('utf8').replaceAll('\0', '').split('\n');
  return lines.map((line) => line.replace(/\r+$/, '').split('\r').at(-1) ?? '').join('\n');
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
