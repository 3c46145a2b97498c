import type { Payload, PayloadCodec, SerializationContext } from '@temporalio/common';
import type { Undecodable } from '../protocol/undecodable.ts';
import type { KeyRing } from './key-ring.ts';
import type { KeyRingFile } from './key-ring-file.ts';
import { PayloadUnreadableError } from './payload-unreadable-error.ts';
import { keyIdOf, seal, unseal } from './seal.ts';

/** Null: encrypts nothing, and can only say so of what is encrypted. */
export type PayloadKeys = KeyRingFile | null;

/**
 * For clients and readers: what cannot be read becomes an `Undecodable` in words, so that it hides
 * nothing else. What is not encrypted passes, as it was before encryption was turned on.
 */
export function createReaderCodec(keys: PayloadKeys): PayloadCodec {
  return createCodec(keys, () => true);
}

/**
 * For workers. A workflow's replay must decode as its first run did, whatever keys were added or lost
 * since, and nothing a sender sends may stop a session:
 *
 * | what cannot be read | in a workflow's messages and input | in results and activities' input |
 * |---|---|---|
 * | its key is of this ring and missing | thrown | thrown |
 * | of another ring, damaged, or without a ring | `Undecodable` | thrown |
 *
 * What is thrown fails the task: Temporal tries it again, ever less often, until a worker has the key.
 */
export function createWorkerCodec(keys: PayloadKeys): PayloadCodec {
  return createCodec(keys, ({ isMissing }, context) => !isMissing && context?.type === 'workflow');
}

interface Unreadable {
  readonly words: string;
  /** Its key is one of the ring, and not there. */
  readonly isMissing: boolean;
}

type Opened = { readonly payload: Payload } | Unreadable;

type Tolerates = (unreadable: Unreadable, context: SerializationContext | undefined) => boolean;

function createCodec(keys: PayloadKeys, tolerates: Tolerates): PayloadCodec {
  return {
    async encode(payloads) {
      if (keys === null || payloads.length === 0) return payloads;
      const key = (await keys.current()).encryptsAt(Date.now());
      return payloads.map((payload) => seal(payload, key));
    },
    async decode(payloads, context) {
      if (payloads.every((payload) => keyIdOf(payload) === undefined)) return payloads;
      const ring = keys === null ? null : await ringFor(payloads, keys);
      return payloads.map((payload) => {
        const opened = openPayload(payload, ring, keys?.path ?? '');
        if ('payload' in opened) return opened.payload;
        if (!tolerates(opened, context)) throw new PayloadUnreadableError(opened.words);
        return toUndecodable(opened.words);
      });
    },
  };
}

/** Read again where a key is missing: it may have been added a moment ago. */
async function ringFor(payloads: readonly Payload[], keys: KeyRingFile): Promise<KeyRing> {
  const ring = await keys.current();
  const isMissing = payloads.some((payload) => {
    const id = keyIdOf(payload);
    return id !== undefined && ring.find(id) === undefined && ring.isOwn(id);
  });
  return isMissing ? keys.latest() : ring;
}

function openPayload(payload: Payload, ring: KeyRing | null, path: string): Opened {
  const id = keyIdOf(payload);
  if (id === undefined) return { payload };
  if (ring === null) {
    const words = `it is encrypted with payload key ${nameOf(id)}, and there is no key ring here: set DROVER_PAYLOAD_KEYS`;
    return { words, isMissing: false };
  }
  const key = ring.find(id);
  if (key === undefined) {
    const isMissing = ring.isOwn(id);
    const what = isMissing ? 'lacks' : 'is another one: it does not know';
    const remedy = isMissing
      ? 'put the newest copy of the ring there'
      : 'use the ring of the workers on both sides';
    const words = `the key ring ${path} ${what} payload key ${nameOf(id)}; ${remedy}`;
    return { words, isMissing };
  }
  try {
    return { payload: unseal(payload, key) };
  } catch {
    const words = `it is damaged, or payload key ${nameOf(id)} is not the one that encrypted it`;
    return { words, isMissing: false };
  }
}

const MAX_SHOWN_ID = 64;

/** Anybody may have written it. */
function nameOf(id: string): string {
  return /^[\w.-]+$/.test(id) && id.length <= MAX_SHOWN_ID ? id : '(without a name)';
}

function toUndecodable(words: string): Payload {
  const undecodable: Undecodable = { undecodable: words, message: words };
  return {
    metadata: { encoding: Buffer.from('json/plain') },
    data: Buffer.from(JSON.stringify(undecodable)),
  };
}
