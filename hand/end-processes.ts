import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 5;
const DEADLINE_MS = 5_000;

/**
 * Ends processes for good: SIGTERM, then SIGKILL to those that stay after the grace, again and
 * again, so that what they start meanwhile goes too.
 *
 * @param select The pids to end that live now; asked until there is none.
 * @returns pids that outlived it (in an uninterruptible call of the kernel).
 */
export async function endProcesses(
  select: () => readonly number[],
  options: { readonly graceMs: number },
): Promise<readonly number[]> {
  const startedAt = performance.now();
  const asked = new Set<number>();
  for (;;) {
    const pids = select();
    const elapsedMs = performance.now() - startedAt;
    if (pids.length === 0 || elapsedMs > DEADLINE_MS) return pids;
    for (const pid of pids) {
      if (elapsedMs >= options.graceMs) signal(pid, 'SIGKILL');
      else if (!asked.has(pid)) signal(pid, 'SIGTERM');
      asked.add(pid);
    }
    await delay(POLL_MS);
  }
}

/** Sends a signal; a process that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone, or not ours: the caller looks again.
  }
}
