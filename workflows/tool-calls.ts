import { ActivityFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { ExecuteResult, HandInstance } from '../protocol/hand.ts';
import type { SpilledResult } from '../protocol/mcp.ts';
import type { BorrowedHand, OpenCall } from '../protocol/session.ts';
import { execute } from './activities.ts';
import type { Hands } from './hands.ts';
import { errorResult, recordEvents } from './inbox.ts';
import { callServer, fileCall, withoutFile } from './mcp-calls.ts';
import { provisionProblem } from './provision-problem.ts';
import { callPushed } from './pushed-calls.ts';
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
    if (call.mcp_server_name !== undefined) await runOnServer(state, hands, call);
    else if (call.task_queue !== undefined) await runPushed(state, call, call.task_queue);
    else await runOnHand(state, hands, { call });
  } catch (error) {
    // The log projects a failed, timed out or cancelled `execute` as this call's error result.
    if (error instanceof ActivityFailure) close(state, call);
    // Cancelled before it was scheduled: the interrupt closes it, or the session ends.
    else if (!isCancellation(error)) throw error;
  }
}

async function runOnServer(state: SessionState, hands: Hands, call: OpenCall): Promise<void> {
  const spilled = await callServer(state, call);
  if (spilled === undefined) close(state, call);
  else await runOnHand(state, hands, { call: fileCall(call, spilled), spilled });
}

async function runPushed(state: SessionState, call: OpenCall, taskQueue: string): Promise<void> {
  await callPushed(state, call, taskQueue);
  close(state, call);
}

/** A call of a hand's tool, or of the file that the result of another call is put into. */
interface HandCall {
  readonly call: OpenCall;
  readonly spilled?: SpilledResult;
}

async function runOnHand(state: SessionState, hands: Hands, handCall: HandCall): Promise<void> {
  const name = handCall.call.hand;
  const borrowed = state.borrowed.get(name);
  if (borrowed !== undefined) await runOnBorrowed(state, borrowed, handCall);
  else await hands.using(name, () => runOnOwn(state, hands, handCall));
}

async function runOnOwn(state: SessionState, hands: Hands, handCall: HandCall): Promise<void> {
  const { call } = handCall;
  const hand = await acquire(state, hands, handCall);
  if (hand === undefined) return;
  const { task_queue } = state.environmentOf(call.hand).definition;
  const result = await run(state, handCall, { hand, taskQueue: task_queue });
  if (result.lost === true) hands.lose(hand);
  close(state, call);
}

/** Whoever borrows a hand cannot make it anew, and never releases it. */
async function runOnBorrowed(
  state: SessionState,
  borrowed: BorrowedHand,
  handCall: HandCall,
): Promise<void> {
  const { call } = handCall;
  const { type: _type, task_queue: taskQueue, ...hand } = borrowed.hand;
  if (borrowed.is_lost) {
    const text =
      `Nothing ran: hand "${call.hand}" was lost. It is hand "${hand.name}" of session ` +
      `${hand.session_id}, which alone can make it anew and pass it on.`;
    await closeWith(state, handCall, text);
    return;
  }
  const result = await run(state, handCall, { hand, taskQueue });
  if (result.lost === true) state.borrowed.set(call.hand, { ...borrowed, is_lost: true });
  close(state, call);
}

async function run(
  state: SessionState,
  { call: { id, name, input }, spilled }: HandCall,
  { hand, taskQueue }: { readonly hand: HandInstance; readonly taskQueue: string },
): Promise<ExecuteResult> {
  const call = { id, name, input };
  const attached = spilled === undefined ? {} : { attachment: spilled.attachment };
  const result = await execute.executeWithOptions({ taskQueue, summary: summarizeCall(call) }, [
    { hand, session_id: workflowInfo().workflowId, call, ...attached },
  ]);
  state.noteDetails(result.events);
  return result;
}

async function acquire(state: SessionState, hands: Hands, handCall: HandCall) {
  try {
    return await hands.acquire(handCall.call.hand);
  } catch (error) {
    // Left open: the interrupt that cancelled it closes it, or the session ends.
    if (isCancellation(error)) return undefined;
    const text = `The sandbox could not be made, nothing ran: ${provisionProblem(error)}`;
    await closeWith(state, handCall, text);
    return undefined;
  }
}

async function closeWith(
  state: SessionState,
  { call, spilled }: HandCall,
  text: string,
): Promise<void> {
  const result = spilled === undefined ? errorResult(call, text) : withoutFile(spilled, text);
  await recordEvents(state, [result]);
  close(state, call);
}

function close(state: SessionState, call: OpenCall): void {
  state.calls.delete(call.id);
  state.owesResponse = true;
}
