import { makeContinueAsNewFunc } from '@temporalio/workflow';
import type { SessionInput } from '../protocol/session.ts';
import { isVersioned } from './is-versioned.ts';
import type { SessionState } from './session-state.ts';

type Session = (input: SessionInput) => Promise<void>;

/** Continues as new, carrying control state only. Never returns. */
export function rollOver(state: SessionState): Promise<never> {
  const { agent, environment } = state;
  if (agent === null || environment === null) {
    throw new TypeError('a session rolled over before it opened');
  }
  const next = makeContinueAsNewFunc<Session>(
    isVersioned() ? { initialVersioningBehavior: 'AUTO_UPGRADE' } : {},
  );
  return next(state.toContinuedInput(agent, environment));
}
