import { RunNotRetainedError } from '../../log/errors/run-not-retained-error.ts';
import type { HistoryEvent } from '../../log/history-event.ts';
import type { HistorySource, Run } from '../../log/history-source.ts';
import { readFirst } from '../../log/read-payload.ts';
import { SessionInput } from '../../protocol/session.ts';
import { WORKFLOW_TYPE } from '../../protocol/workflow-type.ts';

/** What a session was started with, as far as vaults care. It never changes. */
export interface SessionStart {
  readonly vaultIds: readonly string[];
  /** Null: an agent that is not registered. */
  readonly agentId: string | null;
  /**
   * Who started it, by the server's own word where it authenticates callers, else as the session's
   * metadata claims. Null: nobody says.
   */
  readonly owner: string | null;
}

/**
 * Reads the start of a chain from its first run. When that is past the namespace's retention, the
 * given run's own start tells what was carried, since only a roll-over continues a run.
 *
 * @param run Any run of the chain.
 * @returns Undefined when the chain is no session's, or its input none.
 */
export async function readSessionStart(
  source: Pick<HistorySource, 'firstEvent'>,
  run: Run,
): Promise<SessionStart | undefined> {
  const event = await source.firstEvent(run);
  const firstRunId = event?.workflowExecutionStartedEventAttributes?.firstExecutionRunId;
  if (!firstRunId || firstRunId === run.runId) return toStart(event);
  const first = await source
    .firstEvent({ sessionId: run.sessionId, runId: firstRunId })
    .catch((error: unknown) => {
      if (error instanceof RunNotRetainedError) return undefined;
      throw error;
    });
  return first === undefined ? toCarriedStart(event) : toStart(first);
}

function toStart(event: HistoryEvent | undefined): SessionStart | undefined {
  const input = inputOf(event);
  if (input === undefined || input.continued !== undefined) return undefined;
  const { agent, vault_ids: vaultIds, metadata } = input;
  const agentId = agent !== undefined && 'type' in agent ? agent.id : null;
  const owner = event?.principal?.name ?? metadata['owner'] ?? null;
  return { vaultIds, agentId, owner };
}

function toCarriedStart(event: HistoryEvent | undefined): SessionStart | undefined {
  const input = inputOf(event);
  const isContinued = event?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
  if (input?.continued === undefined || !isContinued) return undefined;
  const { vault_ids: vaultIds = [], agent } = input.continued;
  // Where the server names callers, that of a roll-over is the worker.
  const owner = event?.principal ? null : (input.metadata['owner'] ?? null);
  return { vaultIds, agentId: agent.id, owner };
}

function inputOf(event: HistoryEvent | undefined): SessionInput | undefined {
  const attributes = event?.workflowExecutionStartedEventAttributes;
  if (attributes?.workflowType?.name !== WORKFLOW_TYPE.session) return undefined;
  return SessionInput.safeParse(readFirst(attributes.input)).data;
}
