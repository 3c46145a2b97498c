import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { describeIssues } from '../protocol/describe-issues.ts';
import { KeyRingError } from './key-ring-error.ts';

const KEY_BYTES = 32;
const ID_MARK_CHARACTERS = 16;

const secret = z.string().transform((value, context) => {
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length === KEY_BYTES && bytes.toString('base64') === value) return bytes;
  const message = `must be ${KEY_BYTES} bytes in base64`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const PayloadKey = z.strictObject({
  id: z.string().min(1).max(64),
  secret,
  created_at: z.iso.datetime(),
  /** From then on it is the one that encrypts. */
  encrypts_from: z.iso.datetime(),
});
export type PayloadKey = z.infer<typeof PayloadKey>;

const KeyRingContent = z.strictObject({
  type: z.literal('payload_key_ring'),
  /** Marks the ids of its keys, so that a missing one is told from one of another ring. */
  mark: secret,
  keys: z.array(PayloadKey).min(1).max(1_000),
});
type KeyRingContent = z.infer<typeof KeyRingContent>;

/** Keys that encrypt and decrypt payloads. Never shown: neither values nor errors hold a secret. */
export interface KeyRing {
  /** The one that encrypts at this time: the newest whose time has come. */
  encryptsAt(timeMs: number): PayloadKey;
  find(id: string): PayloadKey | undefined;
  /** Whether a key of that id is, or was, of this ring. */
  isOwn(id: string): boolean;
}

/** @throws {KeyRingError} naming `name` and the field that is wrong */
export function parseKeyRing(text: string, name: string): KeyRing {
  const { mark, keys } = parseContent(text, name);
  const byId = new Map(keys.map((key) => [key.id, key]));
  const byTime = keys.toSorted((a, b) => timeOf(a) - timeOf(b));
  const [first] = byTime;
  if (first === undefined) throw new KeyRingError(`${name}: keys: must hold a key`);
  return {
    encryptsAt: (timeMs) => byTime.findLast((key) => timeOf(key) <= timeMs) ?? first,
    find: (id) => byId.get(id),
    isOwn: (id) => isMarked(id, mark),
  };
}

/** Text of a ring of one key, which encrypts at once. */
export function createKeyRing(now: Date): { readonly text: string; readonly key: PayloadKey } {
  const mark = randomBytes(KEY_BYTES);
  const key = createKey(mark, now, now);
  return { text: format({ type: 'payload_key_ring', mark, keys: [key] }), key };
}

/**
 * Text of the same ring with a key more, which encrypts from `encryptsFrom` on.
 * @throws {KeyRingError}
 */
export function rotateKeyRing(
  text: string,
  name: string,
  { now, encryptsFrom }: { readonly now: Date; readonly encryptsFrom: Date },
): { readonly text: string; readonly key: PayloadKey } {
  const content = parseContent(text, name);
  const key = createKey(content.mark, now, encryptsFrom);
  return { text: format({ ...content, keys: [...content.keys, key] }), key };
}

function parseContent(text: string, name: string): KeyRingContent {
  const parsed = KeyRingContent.safeParse(parseJson(text, name));
  if (!parsed.success) {
    throw new KeyRingError(
      `${describeIssues(parsed.error, `key ring ${name}`)}. Restore it from a copy, or name the right file`,
    );
  }
  const { keys, mark } = parsed.data;
  const strange = keys.findIndex(({ id }) => !isMarked(id, mark));
  if (strange !== -1) {
    throw new KeyRingError(
      `key ring ${name}.keys[${strange}].id: not a key of this ring; rings cannot be put together`,
    );
  }
  if (new Set(keys.map(({ id }) => id)).size < keys.length) {
    throw new KeyRingError(`key ring ${name}.keys: two keys have the same id`);
  }
  return parsed.data;
}

/** What the platform says of broken JSON quotes some of it. */
function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new KeyRingError(
      `key ring ${name}: not JSON; restore it from a copy, or name the right file`,
    );
  }
}

function createKey(mark: Buffer, now: Date, encryptsFrom: Date): PayloadKey {
  const day = now.toISOString().slice(0, 10).replaceAll('-', '');
  const name = `pk-${day}-${randomBytes(4).toString('hex')}`;
  return {
    id: `${name}.${markOf(name, mark)}`,
    secret: randomBytes(KEY_BYTES),
    created_at: now.toISOString(),
    encrypts_from: encryptsFrom.toISOString(),
  };
}

function isMarked(id: string, mark: Buffer): boolean {
  const [name = '', given = ''] = id.split('.');
  const expected = Buffer.from(markOf(name, mark));
  return given.length === expected.length && timingSafeEqual(Buffer.from(given), expected);
}

function markOf(name: string, mark: Buffer): string {
  return createHmac('sha256', mark).update(name).digest('hex').slice(0, ID_MARK_CHARACTERS);
}

function timeOf({ encrypts_from }: PayloadKey): number {
  return Date.parse(encrypts_from);
}

function format({ type, mark, keys }: KeyRingContent): string {
  const shown = {
    type,
    mark: mark.toString('base64'),
    keys: keys.map((key) => ({ ...key, secret: key.secret.toString('base64') })),
  };
  return `${JSON.stringify(shown, null, 2)}\n`;
}
