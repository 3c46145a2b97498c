import type { SessionResource } from '../protocol/session.ts';
import { type RunState, waitingCalls } from './run-state.ts';

/**
 * The session as the log tells it, closed or with no worker. The workflow's `getSession` answers the
 * same, by these rules:
 *
 * - `status` is what the latest search-attribute upsert says, `idle` before the first,
 *   `terminated` once the run closed without continuing; `stop_reason` is null unless idle.
 * - `pending_actions` are the calls that wait: `ask` without a confirmation, custom without a
 *   result; none once the session has ended.
 * - `agent` and `environment` are null until both are known.
 * - `usage` sums `span.model_request_end`; `hands` are provisioned, not lost and not released.
 * - a run that continues another starts from what the roll-over carried.
 */
export function toResource(sessionId: string, state: RunState): SessionResource {
  const isOver = state.end?.type === 'ended';
  return {
    type: 'session',
    id: sessionId,
    status: isOver ? 'terminated' : state.status,
    stop_reason: isOver ? null : state.stop_reason,
    title: state.title,
    metadata: state.metadata,
    agent: state.agent,
    environment: state.environment,
    environments: state.environments,
    resources: state.resources,
    vault_ids: state.vault_ids,
    usage: state.usage,
    pending_actions: isOver ? [] : waitingCalls(state.calls).map((call) => call.id),
    hands: state.hands,
    created_at: state.created_at ?? '',
  };
}
