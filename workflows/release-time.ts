const MARGIN_SHARE = 0.1;
/** A release on a busy machine takes seconds. */
const MIN_MARGIN_MS = 15_000;
const MAX_MARGIN_MS = 2 * 60_000;

/**
 * When a hand that ends at `expiresAt` is released, so that its workspace is kept in time; undefined
 * for what is no time. RFC 3339.
 */
export function releaseTime(expiresAt: string, nowMs: number): string | undefined {
  const endMs = Date.parse(expiresAt);
  if (Number.isNaN(endMs)) return undefined;
  const lifeMs = Math.max(endMs - nowMs, 0);
  const shareMs = Math.min(Math.max(lifeMs * MARGIN_SHARE, MIN_MARGIN_MS), MAX_MARGIN_MS);
  const marginMs = Math.min(shareMs, lifeMs / 2);
  return new Date(endMs - marginMs).toISOString();
}
