import { ActivityFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import { vaultQueueOf } from '../protocol/task-queue.ts';
import { proveStart as activity } from './activities.ts';
import type { SessionState } from './session-state.ts';

/**
 * Has the vault's worker sign with what a session was started, before its first run closes: a closed
 * run is removed after the namespace's retention. What fails is tried again before the next roll-over,
 * and no roll-over waits for it.
 */
export async function proveStart(state: SessionState): Promise<void> {
  state.triedToProveStart = true;
  const taskQueue = vaultQueueOf(workflowInfo().taskQueue);
  try {
    state.startProof = await activity.executeWithOptions(
      { taskQueue, summary: 'sign with what the session was started' },
      [],
    );
  } catch (error) {
    if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
  }
}
