import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import proto from '@temporalio/proto';
import type { PayloadKey } from './key-ring.ts';

const PayloadMessage = proto.temporal.api.common.v1.Payload;
const ENCODING = 'binary/encrypted';
const ENCODING_BYTES = Buffer.from(ENCODING);
const KEY_ID = 'encryption-key-id';
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The key that a payload is encrypted with, in its own words; undefined when it is not encrypted. */
export function keyIdOf({ metadata }: Payload): string | undefined {
  const encoding = metadata?.['encoding'];
  if (encoding == null || !ENCODING_BYTES.equals(encoding)) return undefined;
  return Buffer.from(metadata?.[KEY_ID] ?? []).toString('utf8');
}

/** Encrypts a payload whole, its own metadata included: nonce, ciphertext, tag. */
export function seal(payload: Payload, { id, secret }: PayloadKey): Payload {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, secret, nonce);
  cipher.setAAD(Buffer.from(id));
  const encrypted = cipher.update(PayloadMessage.encode(payload).finish());
  const data = Buffer.concat([nonce, encrypted, cipher.final(), cipher.getAuthTag()]);
  return { metadata: { encoding: ENCODING_BYTES, [KEY_ID]: Buffer.from(id) }, data };
}

/** @throws when it is not what that key encrypted */
export function unseal({ data }: Payload, { id, secret }: PayloadKey): Payload {
  const bytes = Buffer.from(data ?? []);
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(CIPHER, secret, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(id));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  const encrypted = bytes.subarray(NONCE_BYTES, -TAG_BYTES);
  return PayloadMessage.decode(Buffer.concat([decipher.update(encrypted), decipher.final()]));
}
