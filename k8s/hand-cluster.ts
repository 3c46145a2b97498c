import type { Duplex } from 'node:stream';
import type { CoreV1Event, V1Job, V1Pod } from '@kubernetes/client-node';
import type { HandName } from '../protocol/hand.ts';
import type { ClusterAccess } from './connection/cluster-access.ts';
import { openExecStream } from './connection/exec-stream.ts';
import { type ClusterRequest, requestJson, watchJson } from './connection/request.ts';
import { ATTACH_COMMAND, HAND_CONTAINER } from './hand-job.ts';
import { jobName, podSelector } from './hand-labels.ts';

/** All that is asked of a cluster: the Role of the worker, as functions. */
export interface HandCluster {
  readonly namespace: string;
  /** @throws ClusterError, status 409 when the name is taken. */
  createJob(job: V1Job): Promise<V1Job>;
  /** @throws ClusterError, status 404 when there is none. */
  getJob(hand: HandName): Promise<V1Job>;
  /** Deletes the Job, if it is that one, and its pods with it. */
  deleteJob(job: V1Job): Promise<void>;
  listPods(hand: HandName): Promise<readonly V1Pod[]>;
  /** Pods of the hand as they are and change, until the signal or the server ends it. */
  watchPods(hand: HandName, signal: AbortSignal): AsyncIterable<V1Pod>;
  /** What the cluster says of a Job: a refused quota is told only here. */
  listEvents(job: V1Job): Promise<readonly CoreV1Event[]>;
  /** Opens a stream to the daemon in a pod. */
  attach(pod: V1Pod): Promise<Duplex>;
  /** Starts a program in a pod: the stream is its standard input and output. */
  exec(pod: V1Pod, command: readonly string[]): Promise<Duplex>;
}

export function createHandCluster(access: ClusterAccess): HandCluster {
  const { namespace } = access;
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
  const core = `/api/v1/namespaces/${namespace}`;
  const ask = async <T>(request: ClusterRequest): Promise<T> =>
    (await requestJson(access, request)) as T;
  const exec = ({ metadata }: V1Pod, command: readonly string[]): Promise<Duplex> =>
    openExecStream(access, {
      namespace,
      pod: metadata?.name ?? '',
      container: HAND_CONTAINER,
      command,
    });
  return {
    namespace,
    createJob: (job) => ask<V1Job>({ method: 'POST', path: jobs, body: job }),
    getJob: (hand) => ask<V1Job>({ method: 'GET', path: `${jobs}/${jobName(hand)}` }),
    async deleteJob({ metadata }) {
      const path = `${jobs}/${metadata?.name}`;
      const preconditions = { uid: metadata?.uid };
      await ask({
        method: 'DELETE',
        path,
        body: { propagationPolicy: 'Foreground', preconditions },
      });
    },
    async listPods(hand) {
      const query = { labelSelector: podSelector(hand) };
      const list = await ask<{ readonly items: readonly V1Pod[] }>({
        method: 'GET',
        path: `${core}/pods`,
        query,
      });
      return list.items;
    },
    async *watchPods(hand, signal) {
      const query = { labelSelector: podSelector(hand), watch: 'true' };
      const request = { method: 'GET', path: `${core}/pods`, query, signal } as const;
      for await (const { type, object } of watchJson(access, request)) {
        if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') yield object as V1Pod;
      }
    },
    async listEvents({ metadata }) {
      const query = { fieldSelector: `involvedObject.uid=${metadata?.uid}` };
      const list = await ask<{ readonly items: readonly CoreV1Event[] }>({
        method: 'GET',
        path: `${core}/events`,
        query,
      });
      return list.items;
    },
    attach: (pod) => exec(pod, ATTACH_COMMAND),
    exec,
  };
}
