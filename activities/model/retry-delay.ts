/** Longer waits are the server's mistake: the next attempt can be told again. */
const MAX_DELAY_MS = 60 * 60 * 1000;

/**
 * Milliseconds that the server asks to wait: `retry-after-ms`, else `retry-after` as seconds or as
 * an HTTP date. Undefined leaves the wait to the retry policy.
 */
export function retryDelayMs(headers: Headers, nowMs: number): number | undefined {
  const delayMs = milliseconds(headers) ?? seconds(headers) ?? untilDate(headers, nowMs);
  if (delayMs === undefined || !(delayMs > 0)) return undefined;
  return Math.min(Math.ceil(delayMs), MAX_DELAY_MS);
}

function milliseconds(headers: Headers): number | undefined {
  return numberIn(headers.get('retry-after-ms'));
}

function seconds(headers: Headers): number | undefined {
  const value = numberIn(headers.get('retry-after'));
  return value === undefined ? undefined : value * 1000;
}

function untilDate(headers: Headers, nowMs: number): number | undefined {
  const dateMs = Date.parse(headers.get('retry-after') ?? '');
  return Number.isNaN(dateMs) ? undefined : dateMs - nowMs;
}

function numberIn(text: string | null): number | undefined {
  if (text === null || !/^\s*\d+(\.\d+)?\s*$/.test(text)) return undefined;
  return Number(text);
}
