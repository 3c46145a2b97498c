import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/**
 * Bulk between a worker and the program `transfer` in a sandbox, over an exec stream of its own. A
 * stream of that kind can end early without a word, so content has an end that is said, with its
 * length and hash: without it there is no content.
 *
 * A frame is one byte for its kind, four for its length, and that many bytes.
 */
export type TransferFrame =
  | { readonly type: 'message'; readonly message: TransferMessage }
  | { readonly type: 'data'; readonly data: Buffer };

/** JSON, of which the receiver believes nothing. */
export interface TransferMessage {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** What the program is to do, by the first message on its standard input. */
export type TransferOrder =
  /** Answers with the workspace as content. */
  | { readonly type: 'pack'; readonly excludes: readonly string[] }
  /** Answers `send` or `restored`; the workspace follows as content after `send`. */
  | { readonly type: 'unpack'; readonly snapshot: string }
  /** The content of a file follows; answers `received`, or `refused` and why. */
  | { readonly type: 'receive'; readonly path: string }
  /** Answers `listing`; to `want` with the content of each file that is wanted. */
  | { readonly type: 'collect' };

export interface ContentEnd {
  readonly bytes: number;
  readonly sha256: string;
}

/** The other side broke off, or sent what is not meant. */
export class TransferError extends Error {
  override readonly name = 'TransferError';
}

const KIND = { message: 1, data: 2 } as const;
const HEADER_BYTES = 5;
const MAX_FRAME_BYTES = 4 * 1024 * 1024;
const MAX_DATA_BYTES = 256 * 1024;

/** Resolves when the stream wants more. */
export async function writeMessage(stream: Writable, message: TransferMessage): Promise<void> {
  await writeFrame(stream, KIND.message, Buffer.from(JSON.stringify(message)));
}

/** Writes content and its end, at the pace of the stream, and tells what it was. */
export async function writeContent(
  stream: Writable,
  content: AsyncIterable<Uint8Array>,
  more: () => object = () => ({}),
): Promise<ContentEnd> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of content) {
    const buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    hash.update(buffer);
    bytes += buffer.length;
    for (let start = 0; start < buffer.length; start += MAX_DATA_BYTES) {
      await writeFrame(stream, KIND.data, buffer.subarray(start, start + MAX_DATA_BYTES));
    }
  }
  const end = { bytes, sha256: hash.digest('hex') };
  await writeMessage(stream, { type: 'end', ...end, ...more() });
  return end;
}

async function writeFrame(stream: Writable, kind: number, payload: Buffer): Promise<void> {
  if (!stream.writable) throw new TransferError('the other side broke off');
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(kind);
  header.writeUInt32BE(payload.length, 1);
  stream.write(header);
  if (stream.write(payload)) return;
  const done = new AbortController();
  const { signal } = done;
  try {
    await Promise.race([once(stream, 'drain', { signal }), once(stream, 'close', { signal })]);
  } finally {
    done.abort();
  }
}

/** Every whole frame until the stream ends. @throws {TransferError} when it ends within one. */
export async function* readTransfer(stream: Readable): AsyncGenerator<TransferFrame> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
    for (let frame = firstFrame(rest); frame !== undefined; frame = firstFrame(rest)) {
      rest = rest.subarray(HEADER_BYTES + frame.length);
      yield toFrame(frame.kind, frame.payload);
    }
  }
  if (rest.length > 0) throw new TransferError('the stream broke off');
}

/**
 * The data up to its end. @throws {TransferError} when there is no end, or it is not what it says.
 *
 * @param onEnd Gets what the end says.
 */
export async function* readContent(
  frames: AsyncIterator<TransferFrame>,
  onEnd: (end: TransferMessage) => void = () => {},
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let bytes = 0;
  for (;;) {
    const { done, value: frame } = await frames.next();
    if (done === true) throw new TransferError('the stream broke off before its end');
    if (frame.type === 'data') {
      hash.update(frame.data);
      bytes += frame.data.length;
      yield frame.data;
    } else if (frame.message.type === 'end') {
      const { message } = frame;
      if (message['bytes'] !== bytes || message['sha256'] !== hash.digest('hex')) {
        throw new TransferError('what came is not what was sent');
      }
      onEnd(message);
      return;
    } else passOver(frame.message);
  }
}

/** The next message. @throws {TransferError} when it is none of these. */
export async function expectMessage(
  frames: AsyncIterator<TransferFrame>,
  ...types: readonly string[]
): Promise<TransferMessage> {
  for (;;) {
    const { done, value: frame } = await frames.next();
    if (done === true) throw new TransferError('the stream broke off');
    if (frame.type === 'data') throw new TransferError('data came that nobody asked for');
    if (types.includes(frame.message.type)) return frame.message;
    passOver(frame.message);
  }
}

/** Signs of life mean nothing else. */
function passOver({ type, message }: TransferMessage): void {
  if (type === 'failed') throw new TransferError(String(message).slice(0, 1_000));
  if (type !== 'alive') throw new TransferError(`"${type.slice(0, 50)}" came unexpectedly`);
}

interface RawFrame {
  readonly kind: number;
  readonly length: number;
  readonly payload: Buffer;
}

function firstFrame(bytes: Buffer): RawFrame | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const length = bytes.readUInt32BE(1);
  if (length > MAX_FRAME_BYTES) throw new TransferError(`a frame of ${length} bytes came`);
  const payload = bytes.subarray(HEADER_BYTES, HEADER_BYTES + length);
  return payload.length < length ? undefined : { kind: bytes.readUInt8(), length, payload };
}

function toFrame(kind: number, payload: Buffer): TransferFrame {
  if (kind === KIND.data) return { type: 'data', data: payload };
  if (kind !== KIND.message) throw new TransferError(`a frame of kind ${kind} came`);
  const message = parse(payload);
  if (typeof message === 'object' && message !== null && 'type' in message) {
    return { type: 'message', message: message as TransferMessage };
  }
  throw new TransferError('a message came that is none');
}

function parse(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}
