import { type Authority, createAuthority } from '../activities/vault/authority.ts';
import { createWorkerCodec, type PayloadKeys } from '../codec/payload-codec.ts';
import { createHistorySource } from '../log/history-source.ts';
import type { Vault } from '../vault/vault.ts';
import type { Connected } from './connect.ts';

/** Asks the histories of a namespace who may use a vault. */
export function openAuthority(
  { connection, namespace }: Pick<Connected, 'connection' | 'namespace'>,
  vault: Pick<Vault, 'describe' | 'proofKey'>,
  keys: PayloadKeys,
): Authority {
  const source = createHistorySource({
    service: connection.workflowService,
    namespace,
    payloadCodecs: [createWorkerCodec(keys)],
    // A start that cannot be decoded names no vault: that would be a refusal for good.
    whole: true,
  });
  return createAuthority({ source, vault });
}
