import type { Readable, Writable } from 'node:stream';
import type { ToolCall } from '../protocol/hand.ts';
import type { HandConfiguration } from './configuration.ts';

/**
 * What goes between a hand and whoever uses it: one JSON object per line over any byte stream (a
 * unix socket, stdio of a child, an exec stream). A request may be repeated on another stream with
 * the same session and call: the journal makes it the same call.
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

/** Writes one frame. False when the stream has been closed or wants its writer to wait. */
export function writeFrame(stream: Writable, frame: HandRequest | HandFrame): boolean {
  if (!stream.writable) return false;
  return stream.write(`${JSON.stringify(frame)}\n`);
}

/**
 * Calls `onFrame` for every whole frame of a stream. What a cut left of a frame is dropped; a line
 * that is no frame destroys the stream.
 */
export function readFrames<Frame extends { readonly type: string }>(
  stream: Readable,
  onFrame: (frame: Frame) => void,
): void {
  let parts: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...parts, chunk.subarray(start, end)]);
      parts = [];
      bytes = 0;
      start = end + 1;
      const frame = parseFrame<Frame>(line);
      if (frame === undefined) {
        stream.destroy(new Error('The peer sent a line that is not a frame.'));
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

function parseFrame<Frame extends { readonly type: string }>(line: Buffer): Frame | undefined {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    const isFrame = typeof value === 'object' && value !== null && 'type' in value;
    return isFrame ? (value as Frame) : undefined;
  } catch {
    return undefined;
  }
}
