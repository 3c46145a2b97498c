import { upsertSearchAttributes } from '@temporalio/workflow';
import { SEARCH_ATTRIBUTES } from '../protocol/search-attributes.ts';
import type { StopReason } from '../protocol/session-event.ts';
import type { SessionState } from './session-state.ts';

/** One upsert per change of status: it is also what the log projects. */
export function becomeRunning(state: SessionState): void {
  if (state.status === 'running') return;
  state.status = 'running';
  state.turns += 1;
  state.stopReason = null;
  state.stopDetails = null;
  upsert(state, null);
}

export function becomeIdle(state: SessionState, stopReason: StopReason): void {
  state.status = 'idle';
  state.stopReason = stopReason;
  if (stopReason.type !== 'refusal') state.stopDetails = null;
  upsert(state, stopReason);
}

function upsert(state: SessionState, stopReason: StopReason | null): void {
  const agent = state.agent;
  upsertSearchAttributes([
    { key: SEARCH_ATTRIBUTES.status, value: state.status ?? 'idle' },
    { key: SEARCH_ATTRIBUTES.stopReason, value: stopReason?.type ?? null },
    ...(state.announced || agent === null
      ? []
      : [{ key: SEARCH_ATTRIBUTES.agent, value: agent.id ?? agent.definition.name }]),
  ]);
  state.announced = true;
}
