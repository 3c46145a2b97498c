import { makeContinueAsNewFunc, workflowInfo } from '@temporalio/workflow';
import type { SessionInput } from '../protocol/session.ts';
import type { SessionState } from './session-state.ts';

type Session = (input: SessionInput) => Promise<void>;

/** Continues as new, carrying control state only. Never returns. */
export function rollOver(state: SessionState): Promise<never> {
  const { agent, environment } = state;
  if (agent === null || environment === null) {
    throw new TypeError('a session rolled over before it opened');
  }
  const versioned = workflowInfo().currentDeploymentVersion !== undefined;
  const next = makeContinueAsNewFunc<Session>(
    versioned ? { initialVersioningBehavior: 'AUTO_UPGRADE' } : {},
  );
  return next(state.toContinuedInput(agent, environment));
}
