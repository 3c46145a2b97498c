import { createHash } from 'node:crypto';
import type { V1Job } from '@kubernetes/client-node';
import type { HandName } from '../protocol/hand.ts';

/** The Temporal namespace of a worker's sessions. Servers may have namespaces of the same name. */
export interface TemporalNamespace {
  readonly name: string;
  /** The server's own id of it. */
  readonly id: string;
}

/** Labels of Jobs; pods have only those that their Job was made with. Values are hashes. */
export const LABEL = {
  managedBy: 'app.kubernetes.io/managed-by',
  temporalNamespace: 'drover.dev/temporal-namespace',
  /** The hand's key. */
  hand: 'drover.dev/hand',
  /** The pool that the Job was made for. */
  pool: 'drover.dev/pool',
  /** The task queue whose workers keep that pool. */
  taskQueue: 'drover.dev/task-queue',
  /** Chooses the network policy. */
  network: 'drover.dev/network',
} as const;

/** The same in words, for people and for the sweeper. */
export const ANNOTATION = {
  temporalNamespace: 'drover.dev/temporal-namespace',
  session: 'drover.dev/session-id',
  chain: 'drover.dev/chain-id',
  hand: 'drover.dev/hand-name',
  generation: 'drover.dev/generation',
  /** The attempt to make the hand that took or adopted the Job last. */
  holder: 'drover.dev/holder',
  /** Hash of what the Job was made from: only a Job made from the same is adopted. */
  specHash: 'drover.dev/spec-hash',
} as const;

/** Value of `LABEL.managedBy`; selects all that Drover made. */
export const MANAGED_BY = 'drover';

export interface JobIdentity {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The same for every attempt to make one generation of a hand, and never that of another hand. */
export function handKey(temporal: TemporalNamespace, hand: HandName): string {
  const { chain_id, session_id, name, generation } = hand;
  return digest(JSON.stringify([temporal.id, chain_id, session_id, name, generation]));
}

/** Name of a Job that is made for a hand; one that a hand was given from a pool has another. */
export function jobName(temporal: TemporalNamespace, hand: HandName): string {
  return `drover-hand-${handKey(temporal, hand)}`;
}

/** What makes a Job that of a hand. */
export function handIdentity(temporal: TemporalNamespace, hand: HandName): JobIdentity {
  return {
    labels: { ...namespaceLabels(temporal), [LABEL.hand]: handKey(temporal, hand) },
    annotations: {
      [ANNOTATION.temporalNamespace]: temporal.name,
      [ANNOTATION.session]: hand.session_id,
      [ANNOTATION.chain]: hand.chain_id,
      [ANNOTATION.hand]: hand.name,
      [ANNOTATION.generation]: String(hand.generation),
    },
  };
}

/** The Job under this name, and somebody's. */
export function nameJob(job: V1Job, name: string, { labels, annotations }: JobIdentity): V1Job {
  const { metadata } = job;
  return {
    ...job,
    metadata: {
      ...metadata,
      name,
      labels: { ...metadata?.labels, ...labels },
      annotations: { ...metadata?.annotations, ...annotations },
    },
  };
}

/** Selects the Jobs of a hand. */
export function handSelector(temporal: TemporalNamespace, hand: HandName): string {
  return toSelector(handIdentity(temporal, hand).labels);
}

/** Labels of all Jobs for sessions of one Temporal namespace. */
export function namespaceLabels(temporal: TemporalNamespace): Readonly<Record<string, string>> {
  return { [LABEL.managedBy]: MANAGED_BY, [LABEL.temporalNamespace]: digest(temporal.id) };
}

/** Selects the pods of Jobs, by the label that the cluster itself gives them. */
export function podSelector(jobs: readonly V1Job[]): string {
  const names = jobs.map(({ metadata }) => metadata?.name ?? '');
  return `batch.kubernetes.io/job-name in (${names.join(',')})`;
}

export function toSelector(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(',');
}

/** 32 hexadecimal digits: fits a label and a name. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
