/** Half of what a 500 ms promise needs, so that one late timer does not break it. */
const INTERVAL_MS = 250;
/** Content may come every millisecond; the worker sends at most four a second anyway. */
const MIN_GAP_MS = 50;

export interface Heartbeat {
  /** Beats because there is something new to tell, unless it just did. */
  onContent(): void;
  stop(): void;
}

/**
 * Beats regularly until stopped: the timeout measures the worker, not the model. Not at once: the
 * server takes the start itself for a sign of life, and a beat is a write to its database just when
 * the step wants to read from it.
 */
export function startHeartbeat(beat: () => void): Heartbeat {
  let lastMs = Date.now();
  const beatNow = () => {
    lastMs = Date.now();
    beat();
  };
  const timer = setInterval(beatNow, INTERVAL_MS);
  return {
    onContent: () => {
      if (Date.now() - lastMs >= MIN_GAP_MS) beatNow();
    },
    stop: () => clearInterval(timer),
  };
}
