import type { Readable } from 'node:stream';

/**
 * Blobs by key, outside Temporal: what is too large for a payload. A key is words joined by `/`
 * (`checkKey`), and no key is a folder of another.
 */
export interface Store {
  /** As configured, for messages; holds no secret. */
  readonly url: string;
  /** Finds out whether it can be used. @throws {StoreError} */
  verify(): Promise<void>;
  /**
   * Reads `content` to its end, without holding it, and makes it visible whole or, when anything
   * fails, not at all. It replaces what the key had. `content` is destroyed in every case.
   *
   * @throws {StoreError} `too_large` over `maxBytes`; what `content` failed with is thrown as it is.
   */
  put(key: string, content: Readable, options?: PutOptions): Promise<Stored>;
  /** The same for a key that has nothing yet. @throws {StoreError} `exists` when it has. */
  putNew(key: string, content: Readable, options?: PutOptions): Promise<Stored>;
  /** Its bytes, or undefined when there is none. To be read to the end, or destroyed. */
  get(key: string): Promise<Readable | undefined>;
  head(key: string): Promise<StoredBlob | undefined>;
  /** Blobs whose key starts with `prefix`, read page by page, in no order. */
  list(prefix: string): AsyncIterable<StoredBlob>;
  /** Gone already is success. */
  delete(key: string): Promise<void>;
  /** Deletes every blob whose key starts with `prefix`, which ends in `/`. */
  deleteAll(prefix: string): Promise<void>;
}

export interface PutOptions {
  readonly maxBytes?: number;
  /** Gives it up: nothing becomes visible. */
  readonly signal?: AbortSignal;
}

/** What was written. */
export interface Stored {
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

export interface StoredBlob {
  readonly key: string;
  readonly bytes: number;
}

/** `unreachable` may pass by itself; `refused` needs a change of the configuration. */
export type StoreProblem = 'unreachable' | 'refused' | 'too_large' | 'exists';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly problem: StoreProblem;

  constructor(problem: StoreProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }
}

const WORD = /^[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,199}$/;
const MAX_KEY_LENGTH = 900;

/** @throws {TypeError} A key is made by us, never from what somebody typed. */
export function checkKey(key: string): string {
  if (key.length <= MAX_KEY_LENGTH && key.split('/').every((word) => WORD.test(word))) return key;
  throw new TypeError(`"${key}" is no key of a store.`);
}

/** A prefix is empty, or a key whose last word may be cut. */
export function checkPrefix(prefix: string): string {
  if (prefix !== '') checkKey(`${prefix}x`);
  return prefix;
}

/** @throws {TypeError} `deleteAll` of half a word would be a slip. */
export function checkFolder(prefix: string): string {
  if (!prefix.endsWith('/')) throw new TypeError(`"${prefix}" does not end in "/".`);
  return checkPrefix(prefix);
}
