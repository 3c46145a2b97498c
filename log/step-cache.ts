import type { RunLog } from './run-log.ts';

/** A session's whole log up to the newest history event that was read of its current run. */
export interface CachedLog extends RunLog {
  /** ActivityTaskScheduled event of each model step of the current run, by activity id. */
  readonly steps: ReadonlyMap<string, number>;
  /** Id of the first WorkflowTaskStarted in which the server suggested to continue as new. */
  readonly suggestedAt: number | null;
}

/** Least recently used logs leave first. Counts runs: a log weighs as many as its chain has. */
export interface StepCache {
  get(runId: string): CachedLog | undefined;
  set(runId: string, log: CachedLog): void;
  delete(runId: string): void;
}

export function createStepCache(maxRuns: number): StepCache {
  const logs = new Map<string, CachedLog>();
  let runs = 0;

  const remove = (runId: string) => {
    const log = logs.get(runId);
    if (log === undefined) return;
    logs.delete(runId);
    runs -= weightOf(log);
  };

  return {
    get(runId) {
      const log = logs.get(runId);
      if (log === undefined) return undefined;
      logs.delete(runId);
      logs.set(runId, log);
      return log;
    },
    set(runId, log) {
      remove(runId);
      logs.set(runId, log);
      runs += weightOf(log);
      for (const oldest of logs.keys()) {
        if (runs <= maxRuns || oldest === runId) break;
        remove(oldest);
      }
    },
    delete: remove,
  };
}

function weightOf(log: CachedLog): number {
  return log.state.run_index + 1;
}
