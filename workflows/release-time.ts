const MARGIN_SHARE = 0.1;
const MAX_MARGIN_MS = 2 * 60_000;

/**
 * When a hand that ends at `expiresAt` is released, so that its workspace is kept in time; undefined
 * for what is no time. RFC 3339.
 */
export function releaseTime(expiresAt: string, nowMs: number): string | undefined {
  const endMs = Date.parse(expiresAt);
  if (Number.isNaN(endMs)) return undefined;
  const marginMs = Math.min(Math.max(endMs - nowMs, 0) * MARGIN_SHARE, MAX_MARGIN_MS);
  return new Date(endMs - marginMs).toISOString();
}
