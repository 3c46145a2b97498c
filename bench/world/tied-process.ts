import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { progress } from '../report.ts';

export interface TiedProcess {
  readonly pid: number;
  readonly exited: Promise<void>;
  /** Resolves once the process has printed a line that starts so. @throws Error when it ends before */
  said(start: string): Promise<void>;
  /** As an outage would end it. */
  kill(): Promise<void>;
  /** Asks it to end, and insists after a while. */
  stop(): Promise<void>;
}

export interface TiedProcessOptions {
  readonly name: string;
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What it prints is appended here. */
  readonly logPath: string;
}

const STOP_GRACE_MS = 8_000;

/** Starts a process that never outlives this one. */
export function startTied(options: TiedProcessOptions): TiedProcess {
  const child = spawn(options.command, options.arguments, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...options.environment },
  });
  const lines = collectLines(child, options.logPath);
  let isMeantToEnd = false;
  const killNow = () => {
    isMeantToEnd = true;
    child.kill('SIGKILL');
  };
  process.once('exit', killNow);
  const exited = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('close', (code, signal) => {
      if (!isMeantToEnd) {
        progress(`${options.name} ended by itself (${signal ?? code}): ${lines.last()}`);
      }
      resolve();
    });
  }).finally(() => process.off('exit', killNow));
  return {
    pid: child.pid ?? 0,
    exited,
    said: (start) => lines.waitFor(start, exited, options),
    async kill() {
      killNow();
      await exited;
    },
    async stop() {
      isMeantToEnd = true;
      child.kill('SIGTERM');
      const insist = setTimeout(killNow, STOP_GRACE_MS);
      await exited;
      clearTimeout(insist);
    },
  };
}

function collectLines(child: ChildProcess, logPath: string) {
  const log = createWriteStream(logPath, { flags: 'a' });
  const seen: string[] = [];
  const listeners = new Set<(line: string) => void>();
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      log.write(`${line}\n`);
      seen.push(line);
      for (const listener of listeners) listener(line);
    });
  }
  const last = () => seen.slice(-3).join(' / ');
  return {
    async waitFor(start: string, exited: Promise<void>, options: TiedProcessOptions) {
      if (seen.some((line) => line.startsWith(start))) return;
      const found = Promise.withResolvers<boolean>();
      const listener = (line: string) => {
        if (line.startsWith(start)) found.resolve(true);
      };
      listeners.add(listener);
      const isSaid = await Promise.race([found.promise, exited.then(() => false)]);
      listeners.delete(listener);
      if (isSaid) return;
      throw new Error(`${options.name} ended before it said "${start}": ${last()}`);
    },
    last,
  };
}
