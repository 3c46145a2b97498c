import { CancellationScope, condition } from '@temporalio/workflow';
import type { StopReason } from '../protocol/session-event.ts';
import type { Hands } from './hands.ts';
import { emptyInbox } from './inbox.ts';
import { runModelStep } from './model-step.ts';
import type { SessionState } from './session-state.ts';
import { becomeIdle, becomeRunning } from './status.ts';
import { runReadyCalls } from './tool-calls.ts';

const END_TURN: StopReason = { type: 'end_turn' };

export type TurnEnd = 'idle' | 'roll_over';

/**
 * Works until nothing is left to do: ready calls, then a model step, and again. May leave after any
 * step for a roll-over; the next run goes on where this one stopped.
 */
export async function runTurn(state: SessionState, hands: Hands): Promise<TurnEnd> {
  let end = lastEnd(state);
  for (;;) {
    await emptyInbox(state);
    if (mayLeave(state, hands)) return 'roll_over';
    if (state.readyCalls().length > 0) {
      becomeRunning(state);
      end = END_TURN;
      await interruptible(state, () => runReadyCalls(state, hands));
    } else if (state.calls.size > 0) {
      const event_ids = state.waitingCalls().map((call) => call.id);
      becomeIdle(state, { type: 'requires_action', event_ids });
      return 'idle';
    } else if (state.owesResponse) {
      becomeRunning(state);
      end = (await interruptible(state, () => runModelStep(state))) ?? END_TURN;
    } else {
      becomeIdle(state, end);
      return 'idle';
    }
  }
}

function mayLeave(state: SessionState, hands: Hands): boolean {
  if (!state.hasWork() || hands.isReleasing()) return false;
  return state.rollOverSuggested && state.mayRollOver();
}

/** What an event that starts no work leaves as it was. */
function lastEnd(state: SessionState): StopReason {
  const last = state.stopReason;
  return last === null || last.type === 'requires_action' ? END_TURN : last;
}

/**
 * Runs `work`, cancelled by a user interrupt or with the session. Cancelled work still ends by
 * itself, and is waited for: what the model said, and the results of its calls, enter the log.
 */
async function interruptible<T>(state: SessionState, work: () => Promise<T>): Promise<T> {
  const scope = new CancellationScope();
  let isDone = false;
  const result = scope.run(work).finally(() => {
    isDone = true;
  });
  result.catch(() => {}); // handled below; without this a failure before that is unhandled
  try {
    await condition(() => isDone || state.hasInterrupt());
  } finally {
    if (!isDone) scope.cancel();
    await result.catch(() => {});
  }
  return result;
}
