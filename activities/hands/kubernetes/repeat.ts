import { setTimeout as delay } from 'node:timers/promises';

export interface Repeating {
  /** Resolves when nothing runs any more. */
  stop(): Promise<void>;
}

export interface RepeatOptions {
  /** Between two runs, give or take a quarter: workers side by side fall out of step. */
  readonly intervalMs: number;
  /** Called when a run fails otherwise than the one before it. */
  onFailure(error: unknown): void;
}

/** Does `work` at once and then again and again, one run at a time. It keeps no process alive. */
export function repeat(work: () => Promise<void>, options: RepeatOptions): Repeating {
  const stopping = new AbortController();
  const ended = run(work, options, stopping.signal);
  return {
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

async function run(
  work: () => Promise<void>,
  { intervalMs, onFailure }: RepeatOptions,
  signal: AbortSignal,
): Promise<void> {
  let said = '';
  while (!signal.aborted) {
    try {
      await work();
      said = '';
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      if (words !== said) onFailure(error);
      said = words;
    }
    const jitter = 0.75 + Math.random() / 2;
    await delay(intervalMs * jitter, undefined, { signal, ref: false }).catch(() => {});
  }
}
