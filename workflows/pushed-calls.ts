import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { pushedActivityId, toPushedResult } from '../protocol/pushed-tool.ts';
import type { OpenCall } from '../protocol/session.ts';
import { executePushed } from './activities.ts';
import { errorResult, recordEvents } from './inbox.ts';
import type { SessionState } from './session-state.ts';
import { summarizeCall } from './summary.ts';

/**
 * Has somebody's own worker run a call. The log projects what it returns as the call's result.
 *
 * @throws ActivityFailure which the log projects as this call's error result.
 */
export async function callPushed(
  state: SessionState,
  call: OpenCall,
  taskQueue: string,
): Promise<void> {
  const { id, name, input } = call;
  const options = { taskQueue, activityId: pushedActivityId(id), summary: summarizeCall(call) };
  try {
    const returned = await executePushed.executeWithOptions(options, [name, input]);
    state.noteDetails([toPushedResult(id, returned)]);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    const result = errorResult(call, INTERRUPTED);
    await CancellationScope.nonCancellable(() => recordEvents(state, [result]));
  }
}

const INTERRUPTED =
  'Interrupted by the user: the tool was told to stop, and whether it took effect is not known.';
