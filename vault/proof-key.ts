import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { FAILURE } from '../protocol/failure.ts';
import type { VaultRecords } from './records.ts';
import { SecretValue } from './secret-value.ts';
import { VaultError } from './vault-error.ts';

export const PROOF_KEYS = 'proof-keys';
const NAME = `${PROOF_KEYS}/starts`;
const KEY_BYTES = 32;

const StoredKey = z.object({ type: z.literal('proof_key'), key: z.base64() });

/**
 * The key of those who open this vault, made by whoever asks first: what is signed with it was
 * written by one of them.
 */
export async function readProofKey(records: VaultRecords): Promise<SecretValue> {
  const found = await records.read(NAME);
  if (found !== undefined) return toKey(found.body);
  const key = randomBytes(KEY_BYTES).toString('base64');
  const body = JSON.stringify({ type: 'proof_key', key });
  if ((await records.write(NAME, body, 0)) !== undefined) return new SecretValue(key);
  const others = await records.read(NAME);
  if (others !== undefined) return toKey(others.body);
  throw new VaultError(FAILURE.vaultUnavailable, `${NAME} of the vault was taken away: try again`);
}

function toKey(body: string): SecretValue {
  const parsed = StoredKey.safeParse(JSON.parse(body));
  if (parsed.success) return new SecretValue(parsed.data.key);
  throw new VaultError(
    FAILURE.vaultInvalid,
    `record ${NAME} of the vault was not written by this version of Drover: remove it, and a new ` +
      'key is made',
  );
}
