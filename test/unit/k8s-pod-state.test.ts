import type { V1Pod, V1PodStatus } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { readPodState } from '../../activities/hands/kubernetes/pod-state.ts';
import { FAILURE } from '../../protocol/failure.ts';

function podWith(status: object, metadata: object = {}): V1Pod {
  return {
    metadata,
    spec: { containers: [{ name: 'hand', image: 'own:1' }] },
    status: status as V1PodStatus,
  };
}

const container = (state: object) => ({ containerStatuses: [{ image: 'own:1', state }] });
const copier = (state: object) => ({
  phase: 'Pending',
  initContainerStatuses: [{ image: 'drover/sandbox:1', state }],
  ...container({ waiting: { reason: 'PodInitializing' } }),
});
const waiting = (reason: string) => ({
  phase: 'Pending',
  ...container({ waiting: { reason, message: 'why' } }),
});

test.each([
  ['nothing yet', {}, undefined],
  ['a container being created', waiting('ContainerCreating'), undefined],
  ['a daemon being carried in', copier({ running: {} }), undefined],
  ['a daemon that was carried in', copier({ terminated: { exitCode: 0 } }), undefined],
  ['a first failed pull', waiting('ErrImagePull'), /own:1 cannot be pulled: why/],
  [
    'no node',
    { conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes' }] },
    /no node can take its pod: 0\/3 nodes/,
  ],
  [
    'an end whose reason is not told yet',
    { phase: 'Running', ...container({ terminated: { exitCode: 0 } }) },
    undefined,
  ],
])('%s → neither there nor ended', (_what, status, waitingFor) => {
  const state = readPodState(podWith(status));
  expect(state).toMatchObject({ type: 'starting' });
  if (waitingFor === undefined) expect(state).toHaveProperty('waitingFor', undefined);
  else expect(state).toHaveProperty('waitingFor', expect.stringMatching(waitingFor));
});

test('a container that runs → running, also while the pod’s phase lags behind', () => {
  expect(readPodState(podWith({ phase: 'Pending', ...container({ running: {} }) }))).toEqual({
    type: 'running',
  });
});

test.each([
  ['pulls that back off', waiting('ImagePullBackOff'), FAILURE.sandboxImageMissing, false, /why/],
  ['a name that is none', waiting('InvalidImageName'), FAILURE.sandboxImageMissing, false, /own:1/],
  ['never to be pulled', waiting('ErrImageNeverPull'), FAILURE.sandboxImageMissing, false, /own:1/],
  ['a bad config', waiting('CreateContainerConfigError'), FAILURE.sandboxStartFailed, false, /why/],
  [
    'pulls of the default sandbox that back off',
    copier({ waiting: { reason: 'ImagePullBackOff', message: 'why' } }),
    FAILURE.sandboxImageMissing,
    false,
    /image drover\/sandbox:1 cannot be pulled: why/,
  ],
  [
    'a daemon that could not be carried in',
    { ...copier({ terminated: { exitCode: 1, message: 'cp: full' } }), phase: 'Failed' },
    FAILURE.sandboxStartFailed,
    false,
    /carried into its image \(exit code 1\): cp: full/,
  ],
  [
    'eviction',
    { phase: 'Failed', reason: 'Evicted', message: 'disk' },
    FAILURE.sandboxUnavailable,
    true,
    /Evicted\): disk/,
  ],
  [
    'a disruption whose reason only a condition tells',
    {
      phase: 'Failed',
      conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'Evicted', message: 'low' }],
      ...container({ terminated: { exitCode: 143 } }),
    },
    FAILURE.sandboxUnavailable,
    true,
    /Evicted\): low/,
  ],
  [
    'a lost node',
    { phase: 'Failed', reason: 'NodeLost', message: 'gone' },
    FAILURE.sandboxUnavailable,
    true,
    /NodeLost\): gone/,
  ],
  [
    'a deadline',
    { phase: 'Failed', reason: 'DeadlineExceeded' },
    FAILURE.sandboxUnavailable,
    true,
    /longest lifetime/,
  ],
  [
    'want of memory',
    { phase: 'Failed', ...container({ terminated: { exitCode: 137, reason: 'OOMKilled' } }) },
    FAILURE.sandboxOutOfMemory,
    false,
    /config\.memory_mib/,
  ],
  [
    'an end with last words',
    { phase: 'Failed', ...container({ terminated: { exitCode: 3, message: 'help' } }) },
    FAILURE.sandboxStartFailed,
    false,
    /exit code 3: help/,
  ],
  [
    'a kubelet that was ended as it started the container',
    {
      phase: 'Failed',
      ...container({
        terminated: { exitCode: 128, message: 'failed to start containerd task: context canceled' },
      }),
    },
    FAILURE.sandboxUnavailable,
    true,
    /interrupted as it started.*context canceled/,
  ],
  [
    'a kubelet that was ended as it carried the daemon in',
    {
      ...copier({ terminated: { exitCode: 128, message: 'shim task: context canceled: unknown' } }),
      phase: 'Failed',
    },
    FAILURE.sandboxUnavailable,
    true,
    /interrupted as it started.*context canceled/,
  ],
  [
    'a container that cannot be started, for a reason of its own',
    {
      phase: 'Failed',
      ...container({ terminated: { exitCode: 128, message: 'exec: "tini": no such file' } }),
    },
    FAILURE.sandboxStartFailed,
    false,
    /exit code 128: exec: "tini": no such file/,
  ],
])('%s → ended, in words', (_what, status, type, isPassing, text) => {
  expect(readPodState(podWith(status))).toEqual({
    type: 'ended',
    cause: { type, isPassing, text: expect.stringMatching(text) },
  });
});

test('a pod that is being deleted → ended, even while it runs', () => {
  const deleted = { deletionTimestamp: '2026-01-01T00:00:00Z' };
  expect(
    readPodState(podWith({ phase: 'Running', ...container({ running: {} }) }, deleted)),
  ).toEqual({ type: 'ended', cause: expect.objectContaining({ text: 'its pod was deleted' }) });
});

test.each([
  ['EvictionByEvictionAPI', 'Eviction API: evicting', ''],
  [
    'DeletionByTaintManager',
    'Taint manager: deleting due to NoExecute taint',
    ', since its node does not answer or is being emptied',
  ],
  ['PreemptionByScheduler', 'preempting to accommodate a higher priority pod', ''],
])('deleted by the cluster (%s) → its reason and words', (reason, message, why) => {
  const conditions = [{ type: 'DisruptionTarget', status: 'True', reason, message }];
  const pod = podWith({ phase: 'Running', conditions }, { deletionTimestamp: new Date() });
  const text = `its pod was deleted${why} (${reason}: ${message})`;
  expect(readPodState(pod)).toEqual({ type: 'ended', cause: expect.objectContaining({ text }) });
});
