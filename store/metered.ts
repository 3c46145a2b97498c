import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type PutOptions, type Stored, StoreError } from './store.ts';

/** A stream as it goes by, with what it turned out to be. */
export interface Metered {
  readonly content: Readable;
  /** Of what has gone by so far. */
  stored(): Stored;
}

/**
 * Counts and hashes what is read. Fails instead of ending when it is too long or given up, so that
 * no writer takes a part for the whole.
 */
export function metered(content: Readable, { maxBytes, signal }: PutOptions = {}): Metered {
  const hash = createHash('sha256');
  let bytes = 0;
  const giveUp = (): void => void content.destroy(asError(signal?.reason));
  // It may fail before it is read.
  content.on('error', () => {});
  const read = async function* (): AsyncGenerator<Buffer> {
    if (signal?.aborted === true) giveUp();
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      for await (const chunk of content) {
        const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk as Uint8Array | string);
        bytes += buffer.length;
        if (maxBytes !== undefined && bytes > maxBytes) throw tooLarge(maxBytes);
        hash.update(buffer);
        yield buffer;
      }
      signal?.throwIfAborted();
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  };
  return {
    content: Readable.from(read(), { objectMode: false }),
    stored: () => ({ bytes, sha256: hash.copy().digest('hex') }),
  };
}

function tooLarge(maxBytes: number): StoreError {
  return new StoreError('too_large', `it has over ${maxBytes} bytes`);
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
