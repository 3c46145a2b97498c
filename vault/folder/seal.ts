import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { FAILURE } from '../../protocol/failure.ts';
import { VaultError } from '../vault-error.ts';
import type { Key, KeyRing } from './key-ring.ts';

const FORMAT = 1;
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const Sealed = z.object({
  format: z.literal(FORMAT),
  /** Id of the key. */
  key: z.string(),
  nonce: z.base64(),
  /** What was encrypted, then its tag. */
  sealed: z.base64(),
});

interface Place {
  readonly name: string;
  readonly version: number;
}

/** Bound to its name and version: a file that was put elsewhere does not open. */
export function seal(body: string, place: Place, [key]: KeyRing): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key.bytes, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(placed(place, key));
  const sealed = Buffer.concat([cipher.update(body, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  const file: z.infer<typeof Sealed> = {
    format: FORMAT,
    key: key.id,
    nonce: nonce.toString('base64'),
    sealed: sealed.toString('base64'),
  };
  return JSON.stringify(file);
}

/** @throws VaultError `Vault.KeyInvalid` naming the record and the keys by their ids. */
export function unseal(text: string, place: Place, ring: KeyRing): string {
  const file = parse(text, place);
  const key = ring.find(({ id }) => id === file.key);
  if (key === undefined) {
    const known = ring.map(({ id }) => id).join(', ');
    throw invalid(
      `record ${place.name} of the vault is sealed with key ${file.key}, but the key file or ` +
        `DROVER_VAULT_KEY holds ${known}: put the earlier key back, below the newest`,
    );
  }
  const sealed = Buffer.from(file.sealed, 'base64');
  const decipher = createDecipheriv(CIPHER, key.bytes, Buffer.from(file.nonce, 'base64'), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(placed(place, key));
  try {
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const body = decipher.update(sealed.subarray(0, -TAG_BYTES));
    return Buffer.concat([body, decipher.final()]).toString('utf8');
  } catch {
    throw damaged(place, 'it was changed, or is not where it was written');
  }
}

function placed({ name, version }: Place, key: Key): Buffer {
  return Buffer.from(['drover-vault', FORMAT, name, version, key.id].join('\n'));
}

function parse(text: string, place: Place): z.infer<typeof Sealed> {
  try {
    return Sealed.parse(JSON.parse(text));
  } catch {
    throw damaged(place, 'it is no sealed record');
  }
}

function damaged({ name, version }: Place, why: string): VaultError {
  return invalid(`record ${name} of the vault, version ${version}, does not open: ${why}`);
}

function invalid(message: string): VaultError {
  return new VaultError(FAILURE.vaultKeyInvalid, message);
}
