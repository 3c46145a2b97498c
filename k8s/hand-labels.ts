import { createHash } from 'node:crypto';
import type { HandName } from '../protocol/hand.ts';

/** Labels of every Job and pod that is a hand. Values are hashes where a label could not hold them. */
export const LABEL = {
  managedBy: 'app.kubernetes.io/managed-by',
  session: 'drover.dev/session',
  hand: 'drover.dev/hand',
  generation: 'drover.dev/generation',
  /** Chooses the network policy. */
  network: 'drover.dev/network',
  /** Name of the Job, on its pods. */
  job: 'drover.dev/job',
} as const;

export const ANNOTATION = {
  session: 'drover.dev/session-id',
  hand: 'drover.dev/hand-name',
  /** Hash of what the Job was made from: only a Job made from the same is adopted. */
  specHash: 'drover.dev/spec-hash',
} as const;

/** Value of `LABEL.managedBy`; selects all that Drover made. */
export const MANAGED_BY = 'drover';

export type HandLabels = Readonly<Record<string, string>>;

/** The same for every attempt to make one generation of a hand: a second one finds the first. */
export function jobName({ session_id, name, generation }: HandName): string {
  return `drover-hand-${digest(JSON.stringify([session_id, name, generation])).slice(0, 32)}`;
}

export function handLabels(hand: HandName): HandLabels {
  return {
    [LABEL.managedBy]: MANAGED_BY,
    [LABEL.session]: digest(hand.session_id).slice(0, 32),
    [LABEL.hand]: digest(hand.name).slice(0, 32),
    [LABEL.generation]: String(hand.generation),
    [LABEL.job]: jobName(hand),
  };
}

/** Selector of the pods of one hand. */
export function podSelector(hand: HandName): string {
  return `${LABEL.managedBy}=${MANAGED_BY},${LABEL.job}=${jobName(hand)}`;
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
