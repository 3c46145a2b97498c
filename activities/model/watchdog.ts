export interface Watchdog {
  /** Starts the wait anew, with another length if one is given. */
  reset(timeoutMs?: number): void;
  hasFired(): boolean;
  stop(): void;
}

/** Calls `onSilence` when nothing reset it for so long. The caller stops it. */
export function createWatchdog(firstTimeoutMs: number, onSilence: () => void): Watchdog {
  let timeoutMs = firstTimeoutMs;
  let fired = false;
  const fire = () => {
    fired = true;
    onSilence();
  };
  let timer = setTimeout(fire, timeoutMs);
  return {
    reset: (nextMs = timeoutMs) => {
      if (nextMs === timeoutMs) {
        timer.refresh();
        return;
      }
      timeoutMs = nextMs;
      clearTimeout(timer);
      timer = setTimeout(fire, timeoutMs);
    },
    hasFired: () => fired,
    stop: () => clearTimeout(timer),
  };
}
