import { FAILURE } from '../../../protocol/failure.ts';
import type { Cause } from './pod-state.ts';

/** The namespace is so new, or its cluster so busy, that what each pod needs is not there yet. */
const NOT_READY = /error looking up service account|not yet ready to handle request/;

/** What the cluster's words mean that refuse to make a pod. */
export function readRefusal(words: string): Cause {
  const isQuota = words.includes('exceeded quota');
  const isLasting = !isQuota && words.includes('is forbidden') && !NOT_READY.test(words);
  return {
    type: isQuota ? FAILURE.sandboxQuotaExceeded : FAILURE.sandboxClusterRefused,
    text: `the cluster refused its pod: ${words}`,
    isPassing: !isLasting,
  };
}
