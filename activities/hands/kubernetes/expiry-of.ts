import type { V1Job, V1Pod } from '@kubernetes/client-node';

/**
 * When a hand is ended by its longest lifetime, RFC 3339. The cluster counts from the start of the
 * Job, which was made a moment before its pod.
 */
export function expiryOf({ spec, status }: V1Job, pod: V1Pod): string | undefined {
  const started = status?.startTime ?? pod.metadata?.creationTimestamp;
  const seconds = spec?.activeDeadlineSeconds;
  if (started === undefined || seconds === undefined) return undefined;
  return new Date(new Date(started).getTime() + seconds * 1_000).toISOString();
}
