import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { CallConflictError } from '../../hand/hand.ts';
import {
  type CallResult,
  type HandFrame,
  type HandReply,
  type HandRequest,
  isHandFrame,
  readFrames,
  writeFrame,
} from '../../hand/wire.ts';
import type { ToolCall } from '../../protocol/hand.ts';
import type { ExecuteOptions } from './provider.ts';

/**
 * A standing connection to one hand. A stream that breaks is opened anew, and what is pending is
 * asked for again under its own key, which in the hand is the same call.
 */
export interface HandConnection {
  /** Resolves when the hand has answered. */
  ready(): Promise<void>;
  /**
   * @throws {CallConflictError}
   * @throws {HandGoneError} The instance is gone, or has not answered for too long.
   */
  run(sessionId: string, call: ToolCall, options: ExecuteOptions): Promise<CallResult>;
  /** Rejects what is pending with `reason`. */
  close(reason: Error): void;
}

/** The instance does not exist any more, or cannot be reached. */
export class HandGoneError extends Error {
  override readonly name = 'HandGoneError';
}

export interface HandConnectionOptions {
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
const MAX_TAIL_LENGTH = 2_048;
const MAX_CONFLICT_LENGTH = 1_000;
const REOPEN_MS = 20;

interface Pending {
  readonly request: HandRequest;
  /** Sent after the request, on every stream. */
  cancel: HandRequest | undefined;
  onReply(reply: HandReply): void;
  reject(error: unknown): void;
}

export function createHandConnection(options: HandConnectionOptions): HandConnection {
  return new Connection(options);
}

class Connection implements HandConnection {
  readonly #options: HandConnectionOptions;
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

  constructor(options: HandConnectionOptions) {
    this.#options = options;
  }

  async ready(): Promise<void> {
    await this.#request<undefined>(
      (id) => ({ type: 'ping', id }),
      (reply, { resolve }) => {
        if (reply.type === 'pong') resolve(undefined);
      },
    );
  }

  async run(sessionId: string, call: ToolCall, options: ExecuteOptions): Promise<CallResult> {
    options.detach.throwIfAborted();
    const { promise, pending } = this.#start<CallResult>(
      (id) => ({ type: 'run', id, session_id: sessionId, call }),
      (reply, { resolve, reject }) => {
        if (reply.type === 'result') resolve(reply.result);
        if (reply.type === 'conflict') {
          reject(new CallConflictError(reply.message.slice(0, MAX_CONFLICT_LENGTH)));
        }
        if (reply.type === 'progress') options.onProgress(withoutEnvelope(reply));
      },
    );
    const cancel = (): void => {
      const id = this.#nextId();
      pending.cancel = { type: 'cancel', id, session_id: sessionId, call_id: call.id };
      this.#send(pending.cancel);
    };
    const detach = (): void => pending.reject(options.detach.reason);
    const settled = new AbortController();
    options.detach.addEventListener('abort', detach, { signal: settled.signal });
    options.interrupt.addEventListener('abort', cancel, { signal: settled.signal });
    if (options.interrupt.aborted) cancel();
    return promise.finally(() => settled.abort());
  }

  close(reason: Error): void {
    this.#isClosed = true;
    this.#rejectAll(reason);
    this.#opened?.destroy();
  }

  #request<Value>(
    build: (id: string) => HandRequest,
    onReply: (reply: HandReply, settle: Settle<Value>) => void,
  ): Promise<Value> {
    return this.#start(build, onReply).promise;
  }

  #start<Value>(
    build: (id: string) => HandRequest,
    onReply: (reply: HandReply, settle: Settle<Value>) => void,
  ): { readonly promise: Promise<Value>; readonly pending: Pending } {
    const id = this.#nextId();
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    const pending: Pending = {
      request: build(id),
      cancel: undefined,
      onReply: (reply) => onReply(reply, { resolve, reject }),
      reject,
    };
    if (this.#pending.size === 0) this.#answeredAt = performance.now();
    this.#pending.set(id, pending);
    this.#send(pending.request);
    void this.#keepOpen();
    this.#watch?.ref();
    const settled = promise.finally(() => {
      this.#pending.delete(id);
      // An idle connection must not keep a worker from ending.
      if (this.#pending.size === 0) this.#watch?.unref();
    });
    return { promise: settled, pending };
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
    for (const { request, cancel } of this.#pending.values()) {
      writeFrame(stream, request);
      if (cancel !== undefined) writeFrame(stream, cancel);
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
    throw new HandGoneError(`The hand has not answered for ${Math.round(silenceMs / 1000)} s.`);
  }

  #rejectAll(error: unknown): void {
    for (const pending of [...this.#pending.values()]) pending.reject(error);
  }
}

interface Settle<Value> {
  resolve(value: Value): void;
  reject(error: unknown): void;
}

function withoutEnvelope(reply: Extract<HandReply, { type: 'progress' }>): {
  readonly tail: string;
  readonly output_bytes: number;
} {
  return {
    tail: reply.tail.slice(-MAX_TAIL_LENGTH),
    output_bytes: reply.output_bytes,
  };
}
