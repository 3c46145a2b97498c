import type { Duplex } from 'node:stream';
import type { CoreV1Event, V1Job, V1Pod } from '@kubernetes/client-node';
import type { HandName } from '../protocol/hand.ts';
import type { ClusterAccess } from './connection/cluster-access.ts';
import { openExecStream } from './connection/exec-stream.ts';
import { type ClusterRequest, requestJson, watchJson } from './connection/request.ts';
import { ATTACH_COMMAND, HAND_CONTAINER } from './hand-job.ts';
import { handSelector, podSelector, type TemporalNamespace } from './hand-labels.ts';

/** All that is asked of a cluster: the Role of the worker, as functions. */
export interface HandCluster {
  readonly namespace: string;
  readonly temporalNamespace: TemporalNamespace;
  /** @throws ClusterError, status 409 when the name is taken. */
  createJob(job: V1Job): Promise<V1Job>;
  /** @throws ClusterError, status 404 when there is none. */
  getJob(name: string): Promise<V1Job>;
  listJobs(labelSelector: string): Promise<readonly V1Job[]>;
  /** Merges `change` into the Job. @throws ClusterError, status 409 unless it still is as given. */
  patchJob(job: V1Job, change: JobChange): Promise<V1Job>;
  /** Deletes the Job, if it is that one, and its pods with it. */
  deleteJob(job: V1Job): Promise<void>;
  /**
   * The same, if nobody has changed it since. Its name is free at once: a pod on a node that is away
   * ends only when that is back. @throws ClusterError, status 409 otherwise.
   */
  deleteUnchangedJob(job: V1Job): Promise<void>;
  /** Jobs of a hand: one, but for a moment in which two attempts make it at once. */
  listJobsOf(hand: HandName): Promise<readonly V1Job[]>;
  listPods(jobs: readonly V1Job[]): Promise<readonly V1Pod[]>;
  /** Pods of the Job as they are and change, until the signal or the server ends it. */
  watchPods(job: V1Job, signal: AbortSignal): AsyncIterable<V1Pod>;
  /** What the cluster says of a Job: a refused quota is told only here. */
  listEvents(job: V1Job): Promise<readonly CoreV1Event[]>;
  /** Opens a stream to the daemon in a pod. */
  attach(pod: V1Pod): Promise<Duplex>;
  /** Starts a program in a pod: the stream is its standard input and output. */
  exec(pod: V1Pod, command: readonly string[]): Promise<Duplex>;
}

export interface JobChange {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly activeDeadlineSeconds: number };
}

export function createHandCluster(
  access: ClusterAccess,
  temporalNamespace: TemporalNamespace,
): HandCluster {
  const { namespace } = access;
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
  const core = `/api/v1/namespaces/${namespace}`;
  const ask = async <T>(request: ClusterRequest): Promise<T> =>
    (await requestJson(access, request)) as T;
  const list = async <T>(path: string, query: Readonly<Record<string, string>>) =>
    (await ask<{ readonly items: readonly T[] }>({ method: 'GET', path, query })).items;
  const remove = async (
    { metadata }: V1Job,
    propagationPolicy: 'Foreground' | 'Background',
    preconditions: object,
  ): Promise<void> => {
    const body = { propagationPolicy, preconditions };
    await ask({ method: 'DELETE', path: `${jobs}/${metadata?.name}`, body });
  };
  const exec = ({ metadata }: V1Pod, command: readonly string[]): Promise<Duplex> =>
    openExecStream(access, {
      namespace,
      pod: metadata?.name ?? '',
      container: HAND_CONTAINER,
      command,
    });
  const cluster: HandCluster = {
    namespace,
    temporalNamespace,
    createJob: (job) => ask({ method: 'POST', path: jobs, body: job }),
    getJob: (name) => ask({ method: 'GET', path: `${jobs}/${name}` }),
    listJobs: (labelSelector) => list<V1Job>(jobs, { labelSelector }),
    patchJob({ metadata }, { metadata: words, spec }) {
      const { name, uid, resourceVersion } = metadata ?? {};
      const body = { metadata: { ...words, uid, resourceVersion }, ...(spec && { spec }) };
      return ask({ method: 'PATCH', path: `${jobs}/${name}`, body });
    },
    deleteJob: (job) => remove(job, 'Foreground', { uid: job.metadata?.uid }),
    async deleteUnchangedJob(job) {
      const { uid, resourceVersion } = job.metadata ?? {};
      await remove(job, 'Background', { uid, resourceVersion });
    },
    listJobsOf: (hand) => cluster.listJobs(handSelector(temporalNamespace, hand)),
    async listPods(of) {
      if (of.length === 0) return [];
      return list<V1Pod>(`${core}/pods`, { labelSelector: podSelector(of) });
    },
    async *watchPods(job, signal) {
      const query = { labelSelector: podSelector([job]), watch: 'true' };
      const request = { method: 'GET', path: `${core}/pods`, query, signal } as const;
      for await (const { type, object } of watchJson(access, request)) {
        if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') yield object as V1Pod;
      }
    },
    listEvents: ({ metadata }) =>
      list(`${core}/events`, { fieldSelector: `involvedObject.uid=${metadata?.uid}` }),
    attach: (pod) => exec(pod, ATTACH_COMMAND),
    exec,
  };
  return cluster;
}
