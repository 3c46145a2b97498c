import { setTimeout as delay } from 'node:timers/promises';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { HandGoneError } from '../hand-gone-error.ts';
import type { HandStreams } from './hand-streams.ts';

/** No container starts sooner after its pod got a node; asking for it would only cost. */
const FIRST_MS = 200;
/** An image that is pulled takes longer than it is worth to ask for. */
const LAST_MS = 3_000;
const NOT_YET = new HandGoneError('Its container does not run yet.');

/**
 * Resolves when the daemon answers in a pod that has a node, whatever the pod's status says yet: a
 * kubelet looks at its containers once a second, and tells that late that one runs.
 *
 * @throws {HandGoneError} when it does not answer in three seconds; its status will tell.
 */
export async function reachEarly(streams: HandStreams, job: V1Job, pod: V1Pod): Promise<void> {
  const instance = pod.metadata?.uid ?? '';
  await delay(FIRST_MS, undefined, { ref: false });
  setTimeout(() => streams.letGo(instance, NOT_YET), LAST_MS).unref();
  await streams.hold(job, instance).ready();
}
