import type { V1Job, V1Pod } from '@kubernetes/client-node';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import { HandGoneError } from '../hand-gone-error.ts';
import { belongsTo } from './await-pod.ts';
import type { HandStreams } from './hand-streams.ts';
import { readPodState } from './pod-state.ts';

/** What a worker has of idle Jobs: their pods, and open streams to the daemons in them. */
export interface PoolHolds {
  /** Holds these Jobs and lets go of all others. */
  refresh(jobs: readonly V1Job[]): Promise<void>;
  /** One of the Jobs, ready ones first; it is not handed out again. */
  take(jobs: (job: V1Job) => boolean): V1Job | undefined;
  podOf(job: V1Job): V1Pod | undefined;
  isReady(job: V1Job): boolean;
  /** Why nothing can come of the Job. */
  whyDead(job: V1Job): string | undefined;
  /** Whether its daemon has ever answered. */
  hasAnswered(job: V1Job): boolean;
}

interface Held {
  job: V1Job;
  pod: V1Pod | undefined;
  /** Its daemon has answered on a stream that is open. */
  isReady: boolean;
  hasAnswered: boolean;
  isTaken: boolean;
  dead: string | undefined;
}

const LET_GO = new HandGoneError('The pooled Job is held no more.');

export function createPoolHolds(cluster: HandCluster, streams: HandStreams): PoolHolds {
  const held = new Map<string, Held>();

  function letGo(uid: string, { pod }: Held): void {
    held.delete(uid);
    if (pod !== undefined) streams.letGo(pod.metadata?.uid ?? '', LET_GO);
  }

  /** Opens the stream, and again when it broke. */
  function greet(entry: Held, pod: V1Pod): void {
    const instance = pod.metadata?.uid ?? '';
    streams
      .hold(entry.job, instance)
      .ready()
      .then(
        () => {
          entry.isReady = true;
          entry.hasAnswered = true;
        },
        (error: unknown) => {
          entry.isReady = false;
          const isGone = error instanceof HandGoneError && error !== LET_GO;
          if (isGone && streams.clusterTrouble(instance) === undefined) entry.dead = error.message;
        },
      );
  }

  function look(entry: Held): void {
    if (entry.pod === undefined || entry.isTaken) return;
    const state = readPodState(entry.pod);
    if (state.type === 'running') greet(entry, entry.pod);
    if (state.type === 'ended') entry.dead = state.cause.text;
  }

  return {
    async refresh(jobs) {
      const present = new Map(jobs.map((job) => [job.metadata?.uid ?? '', job]));
      for (const [uid, entry] of [...held]) if (!present.has(uid)) letGo(uid, entry);
      const pods = await cluster.listPods(jobs);
      for (const [uid, job] of present) {
        const entry = held.get(uid) ?? emptyHold(job);
        held.set(uid, entry);
        entry.job = job;
        entry.pod = pods.find((pod) => belongsTo(pod, job));
        look(entry);
      }
    },
    take(isWanted) {
      const free = [...held.values()].filter(
        ({ job, isTaken, dead }) => !isTaken && dead === undefined && isWanted(job),
      );
      const ready = free.filter(({ isReady }) => isReady);
      const from = ready.length > 0 ? ready : free;
      // Workers that claim at once had better not all try the same one.
      const entry = from[Math.floor(Math.random() * from.length)];
      if (entry === undefined) return undefined;
      entry.isTaken = true;
      return entry.job;
    },
    podOf(job) {
      const entry = held.get(job.metadata?.uid ?? '');
      return entry?.isReady === true ? entry.pod : undefined;
    },
    isReady: (job) => held.get(job.metadata?.uid ?? '')?.isReady === true,
    whyDead: (job) => held.get(job.metadata?.uid ?? '')?.dead,
    hasAnswered: (job) => held.get(job.metadata?.uid ?? '')?.hasAnswered === true,
  };
}

function emptyHold(job: V1Job): Held {
  return {
    job,
    pod: undefined,
    isReady: false,
    hasAnswered: false,
    isTaken: false,
    dead: undefined,
  };
}
