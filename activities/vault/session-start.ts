import { RunNotRetainedError } from '../../log/errors/run-not-retained-error.ts';
import type { HistoryEvent } from '../../log/history-event.ts';
import type { HistorySource, Run } from '../../log/history-source.ts';
import { readFirst } from '../../log/read-payload.ts';
import { SessionInput } from '../../protocol/session.ts';
import { StartProof } from '../../protocol/start-proof.ts';
import { WORKFLOW_TYPE } from '../../protocol/workflow-type.ts';
import type { SecretValue } from '../../vault/secret-value.ts';
import { readProof } from './start-proof.ts';

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

/** What the histories tell of the start of a chain. */
export type FoundStart =
  | { readonly type: 'found'; readonly firstRun: Run; readonly start: SessionStart }
  /** The chain is no session's, or its input none. */
  | { readonly type: 'none' }
  /** Its first run is past the namespace's retention, and this one carries no proof of it. */
  | { readonly type: 'not_retained'; readonly firstRun: Run };

/**
 * Reads the start of a chain from its first run. When that is past the namespace's retention, it is
 * what one who opens the vault signed before: what a run carries besides is whatever its workers wrote.
 *
 * @param run Any run of the chain.
 */
export async function readSessionStart(
  source: Pick<HistorySource, 'firstEvent'>,
  run: Run,
  proofKey: () => Promise<SecretValue>,
): Promise<FoundStart> {
  const event = await source.firstEvent(run);
  // By the server's word, as the run id of each start.
  const firstRunId = event?.workflowExecutionStartedEventAttributes?.firstExecutionRunId;
  const firstRun = { sessionId: run.sessionId, runId: firstRunId || run.runId };
  if (firstRun.runId === run.runId) return toFound(firstRun, toStart(event));
  const first = await source.firstEvent(firstRun).catch((error: unknown) => {
    if (error instanceof RunNotRetainedError) return null;
    throw error;
  });
  if (first !== null) return toFound(firstRun, toStart(first));
  const proof = StartProof.safeParse(inputOf(event)?.continued?.start_proof).data;
  const start = proof && readProof(firstRun, proof, await proofKey());
  return start === undefined ? { type: 'not_retained', firstRun } : toFound(firstRun, start);
}

function toFound(firstRun: Run, start: SessionStart | undefined): FoundStart {
  return start === undefined ? { type: 'none' } : { type: 'found', firstRun, start };
}

function toStart(event: HistoryEvent | undefined): SessionStart | undefined {
  const input = inputOf(event);
  if (input === undefined || input.continued !== undefined) return undefined;
  const { agent, vault_ids: vaultIds, metadata } = input;
  const agentId = agent !== undefined && 'type' in agent ? agent.id : null;
  const owner = event?.principal?.name ?? metadata['owner'] ?? null;
  return { vaultIds, agentId, owner };
}

function inputOf(event: HistoryEvent | undefined): SessionInput | undefined {
  const attributes = event?.workflowExecutionStartedEventAttributes;
  if (attributes?.workflowType?.name !== WORKFLOW_TYPE.session) return undefined;
  return SessionInput.safeParse(readFirst(attributes.input)).data;
}
