import {
  ApplicationFailure,
  CancellationScope,
  ContinueAsNew,
  condition,
  currentUpdateInfo,
  patched,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { checkEvents } from '../protocol/check-events.ts';
import { describeIssues } from '../protocol/describe-issues.ts';
import { FAILURE } from '../protocol/failure.ts';
import { checkUpdateId, userEventId } from '../protocol/ids.ts';
import { getHeldHands, getSession, send, sendSignal, upgrade } from '../protocol/messages.ts';
import { type SendResult, SessionInput } from '../protocol/session.ts';
import { describeUndecodable, isUndecodable } from '../protocol/undecodable.ts';
import type { SendInput } from '../protocol/user-event.ts';
import { checkApplies } from './check-applies.ts';
import { Hands } from './hands.ts';
import { holdUnread } from './hold-unread.ts';
import { openSession } from './open-session.ts';
import { proveStart } from './prove-start.ts';
import { rollOver } from './roll-over.ts';
import { SessionState } from './session-state.ts';
import { becomeIdle } from './status.ts';
import { runTurn } from './turn.ts';

/**
 * One agent session. Its history is its log; this code holds control state only. It is running or
 * idle until somebody cancels it.
 */
export async function session(input: unknown): Promise<void> {
  holdUnread(input, 'input');
  const parsed = SessionInput.safeParse(input);
  if (!parsed.success) {
    const problem = isUndecodable(input)
      ? describeUndecodable(input, 'input')
      : describeIssues(parsed.error, 'input');
    throw invalid(FAILURE.sessionInvalidInput, problem);
  }
  if (parsed.data.continued !== undefined && !isContinuation()) {
    const message = 'input.continued: written by a roll-over, never by a person; leave it out';
    throw invalid(FAILURE.sessionInvalidInput, message);
  }
  const state = new SessionState(parsed.data);
  const hands = new Hands(state);
  handleMessages(state, hands);
  try {
    await openSession(state, parsed.data);
    await live(state, hands);
  } catch (error) {
    if (!(error instanceof ContinueAsNew)) {
      await CancellationScope.nonCancellable(() => hands.releaseForGood());
    }
    throw error;
  }
}

function isContinuation(): boolean {
  return workflowInfo().continuedFromExecutionRunId !== undefined;
}

async function live(state: SessionState, hands: Hands): Promise<never> {
  if (state.status === null && !state.hasWork()) becomeIdle(state, { type: 'end_turn' });
  for (;;) {
    if (state.hasWork()) {
      const end = await runTurn(state, hands);
      if (end === 'roll_over') await leave(state);
    } else if (state.mayRollOver() && !hands.isReleasing()) {
      await leave(state);
    } else {
      await waitForWork(state, hands);
    }
  }
}

/** Something may have come while the start was proven: then the loop looks again whether to leave. */
async function leave(state: SessionState): Promise<void> {
  // Kept histories of sessions with vaults rolled over without it.
  if (state.mustProveStart() && patched('prove-start')) await proveStart(state);
  else await rollOver(state);
}

/** Idle costs nothing but, while a hand is held, the timer that releases it. */
async function waitForWork(state: SessionState, hands: Hands): Promise<void> {
  const isWanted = () => state.hasWork() || (state.mayRollOver() && !hands.isReleasing());
  const idleSince = Date.now();
  for (const { name, idleMs } of hands.heldByIdleTime()) {
    const leftMs = Math.max(idleSince + idleMs - Date.now(), 1);
    const summary = `release ${name} when idle`;
    await condition(() => isWanted() || !hands.isHeld(name), leftMs, { summary });
    if (isWanted()) return;
    hands.releaseForNow(name);
  }
  await condition(isWanted);
}

/** Handlers only enqueue, and are synchronous: nothing of theirs can be cut off by a roll-over. */
function handleMessages(state: SessionState, hands: Hands): void {
  setHandler(getSession, () => state.toResource());
  setHandler(getHeldHands, () => ({
    chain_id: workflowInfo().firstExecutionRunId,
    generations: hands.generations(),
  }));
  setHandler(upgrade, () => {
    state.upgradeRequested = true;
  });
  setHandler(sendSignal, (input) => {
    const checked = checkEvents(input);
    // The log projects a signal that fails this check as an error, by the same function.
    if (checked.ok) state.enqueue(checked.events);
  });
  setHandler(send, (input) => accept(state, input), {
    validator: (input: SendInput) => check(state, input),
  });
}

function check(state: SessionState, input: SendInput): void {
  const id = updateId();
  if (state.recentCount(id) !== undefined) return;
  const checked = checkEvents(input);
  const problem =
    checkUpdateId(id) ?? (checked.ok ? checkApplies(state, checked.events) : checked.message);
  if (problem !== undefined) throw invalid(FAILURE.sessionInvalidEvent, problem);
}

function accept(state: SessionState, input: SendInput): SendResult {
  const id = updateId();
  holdUnread(input, 'events');
  const earlier = state.recentCount(id);
  if (earlier !== undefined) return { event_ids: eventIds(id, earlier) };
  const checked = checkEvents(input);
  if (!checked.ok) throw invalid(FAILURE.sessionInvalidEvent, checked.message);
  state.remember(id, checked.events.length);
  state.enqueue(checked.events);
  return { event_ids: eventIds(id, checked.events.length) };
}

function eventIds(id: string, count: number): string[] {
  return Array.from({ length: count }, (_, item) => userEventId(id, item));
}

function updateId(): string {
  const info = currentUpdateInfo();
  if (info === undefined) throw new TypeError('send is handled outside an update');
  return info.id;
}

function invalid(type: string, message: string): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true });
}
