import { expect, test } from 'vitest';
import { readRefusal } from '../../activities/hands/kubernetes/read-refusal.ts';
import { FAILURE } from '../../protocol/failure.ts';

const pods = 'Error creating: pods "drover-hand-x" is forbidden';

test.each([
  [`${pods}: exceeded quota: hands, requested: pods=1`, FAILURE.sandboxQuotaExceeded, true],
  [`${pods}: maximum cpu usage per Container is 8`, FAILURE.sandboxClusterRefused, false],
  [`${pods}: violates PodSecurity "restricted:latest"`, FAILURE.sandboxClusterRefused, false],
  [
    `${pods}: error looking up service account hands/default: serviceaccount "default" not found`,
    FAILURE.sandboxClusterRefused,
    true,
  ],
  [`${pods}: not yet ready to handle request`, FAILURE.sandboxClusterRefused, true],
  ['Error creating: Internal error occurred: etcd', FAILURE.sandboxClusterRefused, true],
])('%s → %s, passing: %s', (words, type, isPassing) => {
  expect(readRefusal(words)).toEqual({
    type,
    text: `the cluster refused its pod: ${words}`,
    isPassing,
  });
});
