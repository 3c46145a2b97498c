import { ActivityFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { OpenCall } from '../protocol/session.ts';
import { execute } from './activities.ts';
import { failureText } from './failure-text.ts';
import type { Hands } from './hands.ts';
import { errorResult, recordEvents } from './inbox.ts';
import type { SessionState } from './session-state.ts';
import { summarizeCall } from './summary.ts';

/**
 * Runs every call that is ready, side by side. Each leaves with exactly one result in the log,
 * whatever happens to it; a cancelled one too.
 */
export async function runReadyCalls(state: SessionState, hands: Hands): Promise<void> {
  const calls = state.readyCalls();
  const ends = await Promise.allSettled(calls.map((call) => runCall(state, hands, call)));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

async function runCall(state: SessionState, hands: Hands, call: OpenCall): Promise<void> {
  try {
    const hand = await acquire(state, hands, call);
    if (hand === undefined) return;
    const { id, name, input } = call;
    const result = await execute.executeWithOptions(hands.options(summarizeCall(call)), [
      { hand, session_id: workflowInfo().workflowId, call: { id, name, input } },
    ]);
    state.noteDetails(result.events);
    if (result.lost === true) hands.lose(hand);
    close(state, call);
  } catch (error) {
    // The log projects a failed, timed out or cancelled `execute` as this call's error result.
    if (error instanceof ActivityFailure) close(state, call);
    // Cancelled before it was scheduled: the interrupt closes it, or the session ends.
    else if (!isCancellation(error)) throw error;
  }
}

async function acquire(state: SessionState, hands: Hands, call: OpenCall) {
  try {
    return await hands.acquire(call.hand);
  } catch (error) {
    // Left open: the interrupt that cancelled it closes it, or the session ends.
    if (isCancellation(error)) return undefined;
    const text = `The sandbox could not be made, nothing ran: ${failureText(error)}`;
    await recordEvents(state, [errorResult(call, text)]);
    close(state, call);
    return undefined;
  }
}

function close(state: SessionState, call: OpenCall): void {
  state.calls.delete(call.id);
  state.owesResponse = true;
}
