import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  expectMessage,
  readContent,
  readTransfer,
  TransferError,
  type TransferFrame,
  type TransferMessage,
  type TransferOrder,
  writeContent,
  writeMessage,
} from '../../../k8s/sandbox/transfer-frames.ts';

/** The program says every 2 s that it lives, whatever it does. */
const SILENCE_MS = 30_000;

/** One run of `transfer` in a sandbox. Nothing that it says is believed. */
export interface TransferStream {
  /** Sends what it is to do. */
  order(order: TransferOrder): Promise<void>;
  send(message: TransferMessage): Promise<void>;
  /** @throws {TransferError} when another one comes, none in time, or the stream ends. */
  expect(...types: readonly string[]): Promise<TransferMessage>;
  /** Fails, instead of ending, unless it came whole. */
  content(onEnd?: (end: TransferMessage) => void): AsyncGenerator<Buffer>;
  sendContent(content: AsyncIterable<Buffer>): Promise<void>;
}

/**
 * Uses an exec stream for one transfer, and ends it.
 *
 * @param signal Ends it before.
 */
export async function transferBy<Result>(
  stream: Duplex,
  signal: AbortSignal,
  use: (transfer: TransferStream) => Promise<Result>,
): Promise<Result> {
  const giveUp = (): void => void stream.destroy(new TransferError('it was given up'));
  stream.on('error', () => {});
  signal.addEventListener('abort', giveUp, { once: true });
  if (signal.aborted) giveUp();
  try {
    return await use(toTransfer(stream));
  } finally {
    signal.removeEventListener('abort', giveUp);
    stream.destroy();
  }
}

function toTransfer(stream: Duplex): TransferStream {
  const frames = impatient(readTransfer(stream), stream);
  const send: TransferStream['send'] = (message) => writeMessage(stream, message);
  return {
    order: send,
    send,
    expect: (...types) => expectMessage(frames, ...types),
    content: (onEnd) => readContent(frames, onEnd),
    async sendContent(content) {
      await writeContent(stream, content);
    },
  };
}

/** Frames that must come, while they are waited for, in good time. */
function impatient(
  frames: AsyncGenerator<TransferFrame>,
  stream: Duplex,
): AsyncIterator<TransferFrame> {
  return {
    async next() {
      const timer = new AbortController();
      const late = delay(SILENCE_MS, 'late' as const, { signal: timer.signal });
      late.catch(() => {});
      try {
        const next = await Promise.race([frames.next(), late]);
        if (next !== 'late') return next;
        const silent = new TransferError(`nothing came for ${SILENCE_MS / 1_000} s`);
        stream.destroy(silent);
        throw silent;
      } finally {
        timer.abort();
      }
    },
  };
}
