import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { awaitPod, NoPodError } from '../../activities/hands/kubernetes/await-pod.ts';
import { ClusterError } from '../../k8s/connection/cluster-error.ts';
import type { HandCluster } from '../../k8s/hand-cluster.ts';
import { FAILURE } from '../../protocol/failure.ts';

const JOB: V1Job = { metadata: { name: 'job', uid: 'job-uid' } };
const POD: V1Pod = {
  metadata: {
    name: 'pod',
    ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'job', uid: 'job-uid' }],
  },
  spec: { containers: [] },
  status: {
    phase: 'Running',
    containerStatuses: [{ state: { running: {} } }],
  } as unknown as NonNullable<V1Pod['status']>,
};

/** Each watch of its pods does the next of these, and the last one for ever. */
function clusterWith(...watches: (Error | V1Pod)[]): HandCluster {
  let index = 0;
  return {
    async *watchPods() {
      const next = watches[Math.min(index, watches.length - 1)];
      index += 1;
      if (next instanceof Error) throw next;
      if (next !== undefined) yield next;
    },
    listEvents: async () => {
      throw new ClusterError(0, 'no answer');
    },
  } as unknown as HandCluster;
}

const waiting: string[] = [];
const OPTIONS = {
  startMs: 2_500,
  onWaiting: (reason: string) => void waiting.push(reason),
  abandoned: new AbortController().signal,
};

test('its watch is cut, and cut again → watched anew, and a person can read why', async () => {
  const cut = new ClusterError(0, 'the watch was cut');
  expect(await awaitPod(clusterWith(cut, cut, POD), JOB, OPTIONS)).toBe(POD);
  expect(waiting).toContain('the watch was cut');
});

test('the cluster is away for all of its time → it says that', async () => {
  const away = clusterWith(new ClusterError(0, 'no answer'));
  const error = await awaitPod(away, JOB, OPTIONS).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(NoPodError);
  expect(error).toMatchObject({
    reason: { type: FAILURE.sandboxClusterUnreachable, text: expect.stringMatching('no answer') },
  });
});

test('the cluster refuses the watch → at once', async () => {
  const refusing = clusterWith(new ClusterError(403, 'forbidden'));
  await expect(awaitPod(refusing, JOB, OPTIONS)).rejects.toMatchObject({ status: 403 });
});

const SCHEDULED: V1Pod = {
  ...POD,
  spec: { containers: [], nodeName: 'node' },
  status: { phase: 'Pending' },
};

test('its container answers before its status tells → not waited for', async () => {
  const asked: V1Pod[] = [];
  const reach = async (pod: V1Pod) => void asked.push(pod);
  expect(await awaitPod(clusterWith(SCHEDULED), JOB, { ...OPTIONS, reach })).toBe(SCHEDULED);
  expect(asked).toEqual([SCHEDULED]);
});

test('it cannot be reached early, or has no node yet → its status tells', async () => {
  let count = 0;
  const reach = async () => {
    count += 1;
    throw new Error('container not found');
  };
  const without = { ...SCHEDULED, spec: { containers: [] } };
  const cluster = clusterWith(without, SCHEDULED, SCHEDULED, POD);
  expect(await awaitPod(cluster, JOB, { ...OPTIONS, reach })).toBe(POD);
  expect(count).toBe(1);
});
