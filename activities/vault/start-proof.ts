import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Run } from '../../log/history-source.ts';
import type { StartProof } from '../../protocol/start-proof.ts';
import type { SecretValue } from '../../vault/secret-value.ts';
import type { SessionStart } from './session-start.ts';

const PURPOSE = 'drover: start of a session';

/** @param firstRun Of the chain. */
export function signStart(firstRun: Run, start: SessionStart, key: SecretValue): StartProof {
  const { vaultIds, agentId, owner } = start;
  return {
    vault_ids: [...vaultIds],
    agent_id: agentId,
    owner,
    signature: sign(firstRun, start, key).toString('base64'),
  };
}

/** Undefined: it is not signed with this key, or for another chain. */
export function readProof(
  firstRun: Run,
  proof: StartProof,
  key: SecretValue,
): SessionStart | undefined {
  const start = { vaultIds: proof.vault_ids, agentId: proof.agent_id, owner: proof.owner };
  const shown = Buffer.from(proof.signature, 'base64');
  const signature = sign(firstRun, start, key);
  return shown.length === signature.length && timingSafeEqual(shown, signature) ? start : undefined;
}

function sign({ sessionId, runId }: Run, start: SessionStart, key: SecretValue): Buffer {
  const { vaultIds, agentId, owner } = start;
  const text = JSON.stringify([PURPOSE, sessionId, runId, vaultIds, agentId, owner]);
  return createHmac('sha256', Buffer.from(key.reveal(), 'base64')).update(text).digest();
}
