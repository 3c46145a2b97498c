import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { endProcess } from './end-process.ts';
import { openLog } from './open-log.ts';

export interface WorkerProcess {
  /** Resolves when the first one polls. @throws Error with its last words when it ends before */
  readonly ready: Promise<void>;
  /** Lets it finish what it is doing, for a few seconds. */
  stop(): Promise<void>;
}

export interface WorkerProcessOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly logPath: string;
  readonly say: (line: string) => void;
  /** Default: the worker of this project. */
  readonly entry?: string;
}

const ENTRY = fileURLToPath(new URL('../workers/main.ts', import.meta.url));
const FOLLOW_PARENT = new URL('./follow-parent.ts', import.meta.url).href;
const READY_LINE = 'drover worker: polling';
const WARNING_LINE = 'drover worker: warning:';

const STOP_GRACE_MS = 10_000;
const FIRST_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 15_000;
/** A worker that polled this long was well: the next one starts at once. */
const WELL_AFTER_MS = 5_000;

interface Ended {
  readonly polled: boolean;
  readonly lastedMs: number;
  readonly words: string;
}

/** Keeps one worker process running: one that dies is started again. */
export function runWorkerProcess(options: WorkerProcessOptions): WorkerProcess {
  const stopping = new AbortController();
  const first = Promise.withResolvers<void>();
  let child: ChildProcess | undefined;
  const running = keep();

  async function keep(): Promise<void> {
    let backoffMs = FIRST_BACKOFF_MS;
    let polledOnce = false;
    while (!stopping.signal.aborted) {
      const ended = await runOnce(options, {
        onSpawn: (spawned) => {
          child = spawned;
        },
        onPolling: () => {
          if (polledOnce) options.say('the worker runs again; sessions go on');
          polledOnce = true;
          first.resolve();
        },
      });
      if (stopping.signal.aborted) return;
      // What it says at its first start is about the set-up, and another start would say the same.
      if (!polledOnce) return first.reject(new Error(ended.words));
      backoffMs = ended.lastedMs > WELL_AFTER_MS ? FIRST_BACKOFF_MS : backoffMs;
      options.say(`the worker ended (${ended.words}); starting another in ${backoffMs / 1_000} s`);
      await delay(backoffMs, undefined, { signal: stopping.signal }).catch(() => {});
      backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
    }
  }

  return {
    ready: first.promise,
    async stop() {
      stopping.abort();
      if (child?.pid !== undefined) await endProcess(child.pid, STOP_GRACE_MS);
      await running;
      first.reject(new Error('the worker was stopped before it polled'));
      first.promise.catch(() => {});
    },
  };
}

async function runOnce(
  { environment, logPath, say, entry = ENTRY }: WorkerProcessOptions,
  on: { readonly onSpawn: (child: ChildProcess) => void; readonly onPolling: () => void },
): Promise<Ended> {
  const startedMs = Date.now();
  let polled = false;
  let words = '';
  const log = await openLog(logPath);
  try {
    const child = spawn(process.execPath, ['--import', FOLLOW_PARENT, entry], {
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own: Ctrl-C reaches the launcher, which ends the worker in order.
      detached: true,
      env: environment,
    });
    const exited = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    on.onSpawn(child);
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${new Date().toISOString()} ${line}\n`).catch(() => {});
        if (line.startsWith(READY_LINE)) {
          polled = true;
          on.onPolling();
        } else if (line.startsWith(WARNING_LINE)) say(line);
        else if (line.trim() !== '') words = line.trim();
      });
    }
    const end = await exited;
    return {
      polled,
      lastedMs: Date.now() - startedMs,
      words: polled || words === '' ? end : words,
    };
  } finally {
    await log.close();
  }
}
