/**
 * Who may use a vault: a session whose start names it, and whom the vault's allow-lists admit. What
 * a caller says of itself counts for nothing: an activity's session is that of its own info, a
 * hand's that of its signed token, and both are looked up in Temporal's history.
 */
import { RunNotRetainedError } from '../../log/errors/run-not-retained-error.ts';
import type { HistorySource, Run } from '../../log/history-source.ts';
import type { VaultInfo } from '../../protocol/credential.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { WORKFLOW_TYPE } from '../../protocol/workflow-type.ts';
import type { Vault } from '../../vault/vault.ts';
import { VaultError } from '../../vault/vault-error.ts';
import { readSessionStart, type SessionStart } from './session-start.ts';

/** Of an activity's own info. */
export interface CallingExecution {
  readonly workflowId: string;
  readonly runId: string;
  readonly workflowType: string;
}

/** Of a hand's token. */
export interface HandSession {
  readonly session_id: string;
  /** Run id of its first run. */
  readonly chain_id: string;
}

/** All throw `VaultError`: `Vault.NotPermitted`, `Vault.NotFound`, or what the vault throws. */
export interface Authority {
  check(execution: CallingExecution, vaultId: string): Promise<void>;
  checkHand(session: HandSession, vaultId: string): Promise<void>;
}

const MAX_KNOWN_RUNS = 10_000;

export function createAuthority(deps: {
  readonly source: Pick<HistorySource, 'firstEvent' | 'currentRun'>;
  readonly vault: Pick<Vault, 'describe'>;
}): Authority {
  const { source, vault } = deps;
  const known = new Map<string, SessionStart>();

  async function startOf(run: Run): Promise<SessionStart | undefined> {
    const key = JSON.stringify([run.sessionId, run.runId]);
    const start = known.get(key) ?? (await readSessionStart(source, run));
    if (start === undefined) return undefined;
    known.delete(key);
    known.set(key, start);
    const [oldest] = known.keys();
    if (known.size > MAX_KNOWN_RUNS && oldest !== undefined) known.delete(oldest);
    return start;
  }

  async function admit(sessionId: string, start: SessionStart, vaultId: string): Promise<void> {
    if (!start.vaultIds.includes(vaultId)) {
      const named = start.vaultIds.length === 0 ? 'none' : start.vaultIds.join(', ');
      throw denied(
        `session ${sessionId} may not use vault ${vaultId}: the vault_ids that it was started with ` +
          `name ${named}`,
      );
    }
    const found = await vault.describe(vaultId);
    if (found === undefined || found.archived_at !== null) throw notFound(vaultId, found);
    checkAllowed(sessionId, start, found);
  }

  return {
    async check({ workflowId: sessionId, runId, workflowType }, vaultId) {
      const isSession = workflowType === WORKFLOW_TYPE.session;
      const start = isSession ? await startOf({ sessionId, runId }) : undefined;
      if (start === undefined) throw noSession(sessionId, workflowType, vaultId);
      await admit(sessionId, start, vaultId);
    },
    async checkHand({ session_id: sessionId, chain_id: runId }, vaultId) {
      const start = await startOf({ sessionId, runId }).catch(async (error: unknown) => {
        if (!(error instanceof RunNotRetainedError)) throw error;
        // Its first run is past retention; a chain that is still open has a current one.
        const current = await source.currentRun(sessionId);
        if (current.firstRunId !== runId) return undefined;
        return startOf({ sessionId, runId: current.runId });
      });
      if (start === undefined) throw noSession(sessionId, 'unknown', vaultId);
      await admit(sessionId, start, vaultId);
    },
  };
}

function checkAllowed(sessionId: string, start: SessionStart, vault: VaultInfo): void {
  const { allowed_agents: agents, allowed_owners: owners } = vault;
  if (agents !== null && (start.agentId === null || !agents.includes(start.agentId))) {
    const agent = start.agentId === null ? 'an agent that is not registered' : start.agentId;
    throw denied(
      `session ${sessionId} may not use vault ${vault.id}: its agent is ${agent}, and the vault ` +
        'admits others alone',
    );
  }
  if (owners === null) return;
  if (start.owner !== null && owners.includes(start.owner)) return;
  const owner =
    start.owner === null ? 'it is not known who started it' : `it was started by ${start.owner}`;
  throw denied(
    `session ${sessionId} may not use vault ${vault.id}: ${owner}, and the vault admits others alone`,
  );
}

function noSession(workflowId: string, type: string, vaultId: string): VaultError {
  return denied(
    `workflow ${workflowId} of type ${type} may not use vault ${vaultId}: only a session whose start ` +
      'names a vault may',
  );
}

function notFound(vaultId: string, archived: VaultInfo | undefined): VaultError {
  const why =
    archived === undefined ? 'there is none' : `it was archived at ${archived.archived_at}`;
  return new VaultError(FAILURE.vaultNotFound, `vault ${vaultId} cannot be used: ${why}`);
}

function denied(message: string): VaultError {
  return new VaultError(FAILURE.vaultNotPermitted, message);
}
