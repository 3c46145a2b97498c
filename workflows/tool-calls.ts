import { ActivityFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { ExecuteResult, HandInstance } from '../protocol/hand.ts';
import type { BorrowedHand, OpenCall } from '../protocol/session.ts';
import { execute } from './activities.ts';
import type { Hands } from './hands.ts';
import { errorResult, recordEvents } from './inbox.ts';
import { provisionProblem } from './provision-problem.ts';
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
    const borrowed = state.borrowed.get(call.hand);
    if (borrowed !== undefined) await runOnBorrowed(state, borrowed, call);
    else await hands.using(call.hand, () => runOnOwn(state, hands, call));
  } catch (error) {
    // The log projects a failed, timed out or cancelled `execute` as this call's error result.
    if (error instanceof ActivityFailure) close(state, call);
    // Cancelled before it was scheduled: the interrupt closes it, or the session ends.
    else if (!isCancellation(error)) throw error;
  }
}

async function runOnOwn(state: SessionState, hands: Hands, call: OpenCall): Promise<void> {
  const hand = await acquire(state, hands, call);
  if (hand === undefined) return;
  const { task_queue } = state.environmentOf(call.hand).definition;
  const result = await run(state, call, { hand, taskQueue: task_queue });
  if (result.lost === true) hands.lose(hand);
  close(state, call);
}

/** Whoever borrows a hand cannot make it anew, and never releases it. */
async function runOnBorrowed(
  state: SessionState,
  borrowed: BorrowedHand,
  call: OpenCall,
): Promise<void> {
  const { type: _type, task_queue: taskQueue, ...hand } = borrowed.hand;
  if (borrowed.is_lost) {
    const text =
      `Nothing ran: hand "${call.hand}" was lost. It is hand "${hand.name}" of session ` +
      `${hand.session_id}, which alone can make it anew and pass it on.`;
    await closeWith(state, call, text);
    return;
  }
  const result = await run(state, call, { hand, taskQueue });
  if (result.lost === true) state.borrowed.set(call.hand, { ...borrowed, is_lost: true });
  close(state, call);
}

async function run(
  state: SessionState,
  { id, name, input }: OpenCall,
  { hand, taskQueue }: { readonly hand: HandInstance; readonly taskQueue: string },
): Promise<ExecuteResult> {
  const call = { id, name, input };
  const result = await execute.executeWithOptions({ taskQueue, summary: summarizeCall(call) }, [
    { hand, session_id: workflowInfo().workflowId, call },
  ]);
  state.noteDetails(result.events);
  return result;
}

async function acquire(state: SessionState, hands: Hands, call: OpenCall) {
  try {
    return await hands.acquire(call.hand);
  } catch (error) {
    // Left open: the interrupt that cancelled it closes it, or the session ends.
    if (isCancellation(error)) return undefined;
    const text = `The sandbox could not be made, nothing ran: ${provisionProblem(error)}`;
    await closeWith(state, call, text);
    return undefined;
  }
}

async function closeWith(state: SessionState, call: OpenCall, text: string): Promise<void> {
  await recordEvents(state, [errorResult(call, text)]);
  close(state, call);
}

function close(state: SessionState, call: OpenCall): void {
  state.calls.delete(call.id);
  state.owesResponse = true;
}
