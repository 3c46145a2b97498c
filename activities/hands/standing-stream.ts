import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type HandFrame,
  type HandReply,
  type HandRequest,
  isHandFrame,
  readFrames,
  writeFrame,
} from '../../hand/wire.ts';
import { HandGoneError } from './hand-gone-error.ts';

/**
 * Requests to one hand, over a stream that is opened anew when it breaks. What is pending is then
 * asked again: every request means the same, however often it comes.
 */
export interface StandingStream {
  ask<Value>(
    build: (id: string) => HandRequest,
    onReply: (reply: HandReply, settle: Settle<Value>) => void,
  ): Asked<Value>;
  /** Rejects what is pending with `reason`. */
  close(reason: Error): void;
}

export interface Settle<Value> {
  resolve(value: Value): void;
  reject(error: unknown): void;
}

export interface Asked<Value> {
  readonly answer: Promise<Value>;
  /** Sends a second request after the first, on every stream. */
  add(build: (id: string) => HandRequest): void;
  reject(error: unknown): void;
}

export interface StandingStreamOptions {
  readonly instance: string;
  /**
   * Opens a stream to the hand.
   *
   * @throws {HandGoneError} when the instance is known to be gone; other errors are tried again.
   */
  open(): Promise<Duplex>;
  /** Silence after which the hand is given up. Default: 30 s. */
  readonly silenceMs?: number;
}

const PING_MS = 1_000;
/** Silence after which a stream is taken for broken. */
const STREAM_SILENCE_MS = 5_000;
const DEFAULT_SILENCE_MS = 30_000;
const REOPEN_MS = 20;

/** It may be there and work: nobody can tell. */
export class HandSilentError extends HandGoneError {}

interface Pending {
  readonly request: HandRequest;
  /** Sent after the request, on every stream. */
  added: HandRequest | undefined;
  onReply(reply: HandReply): void;
  reject(error: unknown): void;
}

export function createStandingStream(options: StandingStreamOptions): StandingStream {
  return new Standing(options);
}

class Standing implements StandingStream {
  readonly #options: StandingStreamOptions;
  readonly #pending = new Map<string, Pending>();
  #lastId = 0;
  #opened: Duplex | undefined;
  /** The open stream once the hand has said hello on it. */
  #stream: Duplex | undefined;
  #watch: NodeJS.Timeout | undefined;
  #isKeptOpen = false;
  #isClosed = false;
  /** When anything last came on the stream. */
  #heardAt = 0;
  /** When the hand itself, not only what stands before it, last answered. */
  #answeredAt = 0;

  constructor(options: StandingStreamOptions) {
    this.#options = options;
  }

  ask<Value>(
    build: (id: string) => HandRequest,
    onReply: (reply: HandReply, settle: Settle<Value>) => void,
  ): Asked<Value> {
    const id = this.#nextId();
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    const pending: Pending = {
      request: build(id),
      added: undefined,
      onReply: (reply) => onReply(reply, { resolve, reject }),
      reject,
    };
    if (this.#pending.size === 0) this.#answeredAt = performance.now();
    this.#pending.set(id, pending);
    this.#send(pending.request);
    void this.#keepOpen();
    this.#watch?.ref();
    const answer = promise.finally(() => {
      this.#pending.delete(id);
      // An idle connection must not keep a worker from ending.
      if (this.#pending.size === 0) this.#watch?.unref();
    });
    const add = (buildAdded: (id: string) => HandRequest): void => {
      pending.added = buildAdded(this.#nextId());
      this.#send(pending.added);
    };
    return { answer, add, reject };
  }

  close(reason: Error): void {
    this.#isClosed = true;
    this.#rejectAll(reason);
    this.#opened?.destroy();
  }

  #nextId(): string {
    this.#lastId += 1;
    return String(this.#lastId);
  }

  #send(request: HandRequest): void {
    if (this.#stream !== undefined) writeFrame(this.#stream, request);
  }

  /** Runs while a stream is open or anything is pending. */
  async #keepOpen(): Promise<void> {
    if (this.#isKeptOpen || this.#isClosed) return;
    this.#isKeptOpen = true;
    this.#watch = setInterval(() => this.#watchSilence(), PING_MS);
    try {
      while (this.#pending.size > 0 && !this.#isClosed) await this.#useOneStream();
    } catch (error) {
      this.#rejectAll(error);
    } finally {
      clearInterval(this.#watch);
      this.#isKeptOpen = false;
    }
  }

  async #useOneStream(): Promise<void> {
    try {
      const stream = await this.#options.open();
      const closed = new Promise<void>((resolve) => stream.once('close', resolve));
      stream.on('error', () => {});
      this.#heardAt = performance.now();
      if (this.#isClosed) stream.destroy();
      this.#opened = stream;
      readFrames<HandFrame>(stream, (frame) => this.#onFrame(stream, frame));
      await closed;
      this.#stream = undefined;
      this.#opened = undefined;
    } catch (error) {
      if (error instanceof HandGoneError) throw error;
    }
    if (this.#pending.size === 0) return;
    this.#giveUpWhenSilent();
    await delay(REOPEN_MS);
  }

  #onFrame(stream: Duplex, frame: HandFrame): void {
    this.#heardAt = performance.now();
    if (!isHandFrame({ ...frame })) {
      this.#rejectAll(new HandGoneError('Its daemon talks nonsense.'));
      stream.destroy();
      return;
    }
    if (frame.type !== 'hello') {
      this.#answeredAt = performance.now();
      this.#pending.get(frame.id)?.onReply(frame);
      return;
    }
    if (frame.instance !== this.#options.instance) {
      this.#rejectAll(new HandGoneError('Another instance answers in its place.'));
      stream.destroy();
      return;
    }
    this.#stream = stream;
    for (const { request, added } of this.#pending.values()) {
      writeFrame(stream, request);
      if (added !== undefined) writeFrame(stream, added);
    }
  }

  #watchSilence(): void {
    if (this.#pending.size === 0) return;
    const silenceMs = performance.now() - this.#heardAt;
    const limitMs = Math.min(STREAM_SILENCE_MS, this.#options.silenceMs ?? DEFAULT_SILENCE_MS);
    if (silenceMs > limitMs) this.#opened?.destroy();
    else this.#send({ type: 'ping', id: this.#nextId() });
  }

  #giveUpWhenSilent(): void {
    const silenceMs = performance.now() - this.#answeredAt;
    if (silenceMs < (this.#options.silenceMs ?? DEFAULT_SILENCE_MS)) return;
    throw new HandSilentError(`The hand has not answered for ${Math.round(silenceMs / 1000)} s.`);
  }

  #rejectAll(error: unknown): void {
    for (const pending of [...this.#pending.values()]) pending.reject(error);
  }
}
