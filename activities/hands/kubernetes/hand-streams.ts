import type { Duplex } from 'node:stream';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { ClusterError } from '../../../k8s/connection/cluster-error.ts';
import type { HandCluster } from '../../../k8s/hand-cluster.ts';
import type { HandName } from '../../../protocol/hand.ts';
import { createHandConnection, type HandConnection } from '../hand-connection.ts';
import { HandGoneError } from '../hand-gone-error.ts';
import { type Cause, readPodState } from './pod-state.ts';

/** The standing streams of a worker: one for each hand instance that it uses. */
export interface HandStreams {
  to(hand: HandName, instance: string): HandConnection;
  /** Of a pooled Job, which is nobody's yet; `to` its instance is the same one then. */
  hold(job: V1Job, instance: string): HandConnection;
  /** Closes a stream that was held, unless a hand has come to use it. */
  letGo(instance: string, reason: Error): void;
  /** Why the cluster itself gave no answer when the instance was last asked for, if it did not. */
  clusterTrouble(instance: string): string | undefined;
  /** Rejects what is pending on the stream with `reason`. */
  forget(instance: string, reason: Error): void;
  closeAll(reason: Error): void;
}

/** The pod of a hand has ended, and says why. */
export class PodEndedError extends HandGoneError {
  readonly reason: Cause;

  constructor(reason: Cause) {
    super(reason.text);
    this.reason = reason;
  }
}

interface Standing {
  readonly connection: HandConnection;
  /** For a hand, and not only held for one to come. */
  isUsed: boolean;
  clusterTrouble: string | undefined;
}

export function createHandStreams(
  cluster: HandCluster,
  options: { readonly silenceMs?: number },
): HandStreams {
  const standing = new Map<string, Standing>();
  const start = (findJobs: FindJobs, instance: string): Standing => {
    const open = async (): Promise<Duplex> => {
      try {
        const stream = await openStream(cluster, findJobs, instance);
        started.clusterTrouble = undefined;
        return stream;
      } catch (error) {
        started.clusterTrouble = troubleOf(error);
        throw error;
      }
    };
    const started: Standing = {
      connection: createHandConnection({ instance, open, ...options }),
      isUsed: false,
      clusterTrouble: undefined,
    };
    standing.set(instance, started);
    return started;
  };
  const streams: HandStreams = {
    to(hand, instance) {
      const used = standing.get(instance) ?? start(async () => cluster.listJobsOf(hand), instance);
      used.isUsed = true;
      return used.connection;
    },
    hold: (job, instance) =>
      (standing.get(instance) ?? start(async () => [job], instance)).connection,
    letGo(instance, reason) {
      if (standing.get(instance)?.isUsed === false) streams.forget(instance, reason);
    },
    clusterTrouble: (instance) => standing.get(instance)?.clusterTrouble,
    forget(instance, reason) {
      standing.get(instance)?.connection.close(reason);
      standing.delete(instance);
    },
    closeAll(reason) {
      for (const instance of [...standing.keys()]) streams.forget(instance, reason);
    },
  };
  return streams;
}

type FindJobs = () => Promise<readonly V1Job[]>;

async function openStream(
  cluster: HandCluster,
  findJobs: FindJobs,
  instance: string,
): Promise<Duplex> {
  const pod = await findPod(cluster, findJobs, instance);
  if (pod === undefined) throw new HandGoneError('its pod does not exist any more');
  const state = readPodState(pod);
  if (state.type === 'ended') throw new PodEndedError(state.cause);
  return cluster.attach(pod);
}

async function findPod(
  cluster: HandCluster,
  findJobs: FindJobs,
  instance: string,
): Promise<V1Pod | undefined> {
  const pods = await listPods(cluster, findJobs);
  return pods.find(({ metadata }) => metadata?.uid === instance);
}

/** The cluster's refusal to list is no sign that the hand is gone. */
async function listPods(cluster: HandCluster, findJobs: FindJobs): Promise<readonly V1Pod[]> {
  try {
    return await cluster.listPods(await findJobs());
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    throw new ClusterError(0, error.message, { cause: error });
  }
}

function troubleOf(error: unknown): string | undefined {
  return error instanceof ClusterError && error.status === 0 ? error.message : undefined;
}
