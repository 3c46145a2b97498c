/**
 * Who may use a vault: a session whose start names it, and whom the vault's allow-lists admit. What
 * a caller says of itself counts for nothing: an activity's session is that of its own info, a
 * hand's that of its signed token, and both are looked up in Temporal's history.
 */
import { RunNotRetainedError } from '../../log/errors/run-not-retained-error.ts';
import type { HistorySource, Run } from '../../log/history-source.ts';
import type { VaultInfo } from '../../protocol/credential.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { StartProof } from '../../protocol/start-proof.ts';
import { WORKFLOW_TYPE } from '../../protocol/workflow-type.ts';
import type { Vault } from '../../vault/vault.ts';
import { VaultError } from '../../vault/vault-error.ts';
import { type FoundStart, readSessionStart, type SessionStart } from './session-start.ts';
import { signStart } from './start-proof.ts';

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
  /** What the later runs of the session are believed by when its first one can be read no more. */
  proveStart(execution: CallingExecution): Promise<StartProof>;
}

const MAX_KNOWN_RUNS = 10_000;
const NONE: FoundStart = { type: 'none' };

export function createAuthority(deps: {
  readonly source: Pick<HistorySource, 'firstEvent' | 'currentRun'>;
  readonly vault: Pick<Vault, 'describe' | 'proofKey'>;
}): Authority {
  const { source, vault } = deps;
  const known = new Map<string, FoundStart>();
  const proofKey = () => vault.proofKey();

  async function startOf(run: Run): Promise<FoundStart> {
    const key = JSON.stringify([run.sessionId, run.runId]);
    const found = known.get(key) ?? (await readSessionStart(source, run, proofKey));
    if (found.type !== 'found') return found;
    known.delete(key);
    known.set(key, found);
    const [oldest] = known.keys();
    if (known.size > MAX_KNOWN_RUNS && oldest !== undefined) known.delete(oldest);
    return found;
  }

  async function startOfCaller({
    workflowId: sessionId,
    runId,
    workflowType,
  }: CallingExecution): Promise<FoundStart> {
    return workflowType === WORKFLOW_TYPE.session ? startOf({ sessionId, runId }) : NONE;
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
    async check(execution, vaultId) {
      const { workflowId: sessionId, workflowType } = execution;
      const found = await startOfCaller(execution);
      if (found.type !== 'found') throw whyNone(found, sessionId, workflowType, `vault ${vaultId}`);
      await admit(sessionId, found.start, vaultId);
    },
    async proveStart(execution) {
      const { workflowId: sessionId, workflowType } = execution;
      const found = await startOfCaller(execution);
      if (found.type !== 'found') throw whyNone(found, sessionId, workflowType, 'vaults');
      return signStart(found.firstRun, found.start, await proofKey());
    },
    async checkHand({ session_id: sessionId, chain_id: runId }, vaultId) {
      const found = await startOf({ sessionId, runId }).catch(async (error: unknown) => {
        if (!(error instanceof RunNotRetainedError)) throw error;
        // Its first run is past retention; a chain that is still open has a current one.
        const current = await source.currentRun(sessionId);
        if (current.firstRunId !== runId) return NONE;
        return startOf({ sessionId, runId: current.runId });
      });
      if (found.type !== 'found') throw whyNone(found, sessionId, 'unknown', `vault ${vaultId}`);
      await admit(sessionId, found.start, vaultId);
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

function whyNone(
  found: Exclude<FoundStart, { type: 'found' }>,
  workflowId: string,
  type: string,
  what: string,
): VaultError {
  if (found.type === 'none') {
    return denied(
      `workflow ${workflowId} of type ${type} may not use ${what}: only a session whose start names a ` +
        'vault may',
    );
  }
  return denied(
    `session ${workflowId} may not use ${what} any more: its first run ${found.firstRun.runId}, which ` +
      "says with what it was started, is past its namespace's retention, and no vault worker could " +
      'sign that for its later runs in time. Start a new session; have a worker of role vault running ' +
      'when sessions roll over, and keep closed runs for longer (temporal operator namespace update ' +
      '--retention)',
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
