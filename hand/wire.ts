import type { Readable, Writable } from 'node:stream';
import { crc32 } from 'node:zlib';
import type { ToolCall } from '../protocol/hand.ts';
import type { HandConfiguration } from './configuration.ts';

/**
 * What goes between a hand and whoever uses it: one JSON object per line, behind what tells that it
 * arrived as it was sent, over any byte stream (a unix socket, stdio of a child, an exec stream). A
 * request may be repeated on another stream with the same session and call: the journal makes it the
 * same call.
 */
export interface CallKey {
  readonly session_id: string;
  readonly call_id: string;
}

export interface CallResult {
  readonly text: string;
  readonly is_error: boolean;
}

/** `id` names a request within its stream. */
export type HandRequest =
  | {
      readonly type: 'run';
      readonly id: string;
      readonly session_id: string;
      readonly call: ToolCall;
    }
  | ({ readonly type: 'cancel'; readonly id: string } & CallKey)
  /** Comes before any call; the same again changes nothing. */
  | {
      readonly type: 'configure';
      readonly id: string;
      readonly configuration: HandConfiguration;
    }
  /** A call of provisioning, journaled in a scope of its own and with tools of its own. */
  | { readonly type: 'set_up'; readonly id: string; readonly call: ToolCall }
  | { readonly type: 'ping'; readonly id: string };

/** Asks a supervisor to end its hand; a daemon knows no such request. */
export type EndRequest = { readonly type: 'end'; readonly id: string };

export type HandReply =
  | {
      readonly type: 'progress';
      readonly id: string;
      readonly tail: string;
      readonly output_bytes: number;
    }
  | { readonly type: 'result'; readonly id: string; readonly result: CallResult }
  /** The request cannot be taken: its key, or the hand, is another's. */
  | { readonly type: 'conflict'; readonly id: string; readonly message: string }
  | { readonly type: 'acknowledged'; readonly id: string }
  | { readonly type: 'pong'; readonly id: string };

/** First frame of every stream, before any request is answered. */
export interface HandHello {
  readonly type: 'hello';
  readonly instance: string;
  /** Whether the hand found that it cannot open unix sockets, which isolation must see to. */
  readonly sockets_blocked: boolean;
  /** Whether the hand found that it cannot change this machine's kernel settings. */
  readonly kernel_settings_blocked?: boolean;
}

export type HandFrame = HandHello | HandReply;

/** A command in the sandbox may have got hold of its daemon: nothing that comes out is trusted. */
export function isHandFrame(frame: Readonly<Record<string, unknown>>): boolean {
  const { type, id } = frame;
  if (type === 'hello') return typeof frame['instance'] === 'string';
  if (typeof id !== 'string') return false;
  switch (type) {
    case 'progress':
      return typeof frame['tail'] === 'string' && typeof frame['output_bytes'] === 'number';
    case 'result':
      return isCallResult(frame['result']);
    case 'conflict':
      return typeof frame['message'] === 'string';
    default:
      return type === 'acknowledged' || type === 'pong';
  }
}

export function isCallResult(value: unknown): value is CallResult {
  if (typeof value !== 'object' || value === null) return false;
  if (!('text' in value) || typeof value.text !== 'string') return false;
  return 'is_error' in value && typeof value.is_error === 'boolean';
}

const MAX_FRAME_BYTES = 32 * 1024 * 1024;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const MAX_PREFIX_BYTES = 40;

/** Bytes sent so far, by stream. */
const sentBytes = new WeakMap<Writable, number>();

/**
 * Writes one frame, behind the number of bytes that this side has sent on the stream before it and
 * the checksum of what follows: a stream that loses, doubles or spoils a byte is found out by the
 * next frame at the latest, which a ping causes.
 *
 * @returns false when the stream has been closed or wants its writer to wait.
 */
export function writeFrame(stream: Writable, frame: HandRequest | EndRequest | HandFrame): boolean {
  if (!stream.writable) return false;
  const json = JSON.stringify(frame);
  const sent = sentBytes.get(stream) ?? 0;
  const line = Buffer.from(`${sent} ${crc32(json).toString(16)} ${json}\n`);
  sentBytes.set(stream, sent + line.length);
  return stream.write(line);
}

/**
 * Calls `onFrame` for every whole frame of a stream. What a cut left of a frame is dropped; a line
 * that is no frame, or not where it was sent, destroys the stream.
 */
export function readFrames<Frame extends { readonly type: string }>(
  stream: Readable,
  onFrame: (frame: Frame) => void,
): void {
  let parts: Buffer[] = [];
  let bytes = 0;
  /** Bytes of the lines before this one. */
  let received = 0;
  stream.on('data', (chunk: Buffer) => {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...parts, chunk.subarray(start, end)]);
      parts = [];
      bytes = 0;
      start = end + 1;
      const frame = parseFrame<Frame>(line, received);
      received += line.length + 1;
      if (frame === undefined) {
        stream.destroy(new Error('What the peer sent did not arrive as it was sent.'));
        return;
      }
      onFrame(frame);
    }
    if (start === chunk.length) return;
    parts.push(chunk.subarray(start));
    bytes += chunk.length - start;
    if (bytes > MAX_FRAME_BYTES) {
      stream.destroy(new Error(`The peer sent a frame of over ${MAX_FRAME_BYTES} bytes.`));
    }
  });
}

function parseFrame<Frame extends { readonly type: string }>(
  line: Buffer,
  received: number,
): Frame | undefined {
  const first = line.subarray(0, MAX_PREFIX_BYTES).indexOf(SPACE);
  const second = line.subarray(0, MAX_PREFIX_BYTES).indexOf(SPACE, first + 1);
  if (first < 0 || second < 0) return undefined;
  const json = line.subarray(second + 1);
  const prefix = `${received} ${crc32(json).toString(16)}`;
  if (line.toString('latin1', 0, second) !== prefix) return undefined;
  return parseJson<Frame>(json);
}

function parseJson<Frame extends { readonly type: string }>(json: Buffer): Frame | undefined {
  try {
    const value: unknown = JSON.parse(json.toString('utf8'));
    const isFrame = typeof value === 'object' && value !== null && 'type' in value;
    return isFrame ? (value as Frame) : undefined;
  } catch {
    return undefined;
  }
}
