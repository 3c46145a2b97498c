import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError } from './cluster-error.ts';

const FORBIDDEN = 403;
const ASK_AGAIN_MS = 250;
const MAX_START_MS = 30_000;

/**
 * What was asked for. An API server that has just started forbids everything to everybody until it
 * has read who may do what, so a refusal counts once the server, asked after it, was ready.
 *
 * @param isReady Whether the server says that it is. One that never does is taken at its word in
 *   the end.
 */
export async function onceStarted<Answer>(
  ask: () => Promise<Answer>,
  isReady: () => Promise<boolean>,
): Promise<Answer> {
  const deadline = performance.now() + MAX_START_MS;
  let wasReady = false;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const isForbidden = error instanceof ClusterError && error.status === FORBIDDEN;
      if (!isForbidden || wasReady || performance.now() > deadline) throw error;
      wasReady = await isReady();
      if (!wasReady) await delay(ASK_AGAIN_MS);
    }
  }
}
