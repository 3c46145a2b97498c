import type { Readable, Writable } from 'node:stream';
import { assertNever } from '../protocol/assert-never.ts';
import type { ToolCall } from '../protocol/hand.ts';
import type { HandConfiguration } from './configuration.ts';
import { CallConflictError, type Hand, type Watcher } from './hand.ts';
import {
  type CallResult,
  type HandFrame,
  type HandHello,
  type HandReply,
  type HandRequest,
  readFrames,
  writeFrame,
} from './wire.ts';

/** A hand that can be told what it is for, and made ready for it. */
export interface ServedHand extends Pick<Hand, 'run' | 'cancel'> {
  /** @throws {ConfigurationConflictError} */
  configure?(configuration: HandConfiguration): void;
  /** Runs a call of provisioning; out of reach of a session's calls. */
  setUp?(call: ToolCall, watcher: Watcher): Promise<CallResult>;
}

/** Answers the requests of one stream. A call goes on when its stream has gone. */
export function serveHand(
  hand: ServedHand,
  hello: HandHello,
  stream: { readonly input: Readable; readonly output: Writable },
): void {
  const { input, output } = stream;
  const send = (frame: HandFrame): void => void writeFrame(output, frame);
  // A stream whose other side has gone ends by itself; its calls are asked for on another one.
  output.on('error', () => {});
  input.on('error', () => {});
  send(hello);
  readFrames<HandRequest>(input, (request) => answer(hand, request, send));
}

function answer(hand: ServedHand, request: HandRequest, send: (reply: HandReply) => void): void {
  const { id } = request;
  const watcher: Watcher = (progress) => send({ type: 'progress', id, ...progress });
  switch (request.type) {
    case 'ping':
      send({ type: 'pong', id });
      return;
    case 'cancel':
      hand.cancel(request);
      send({ type: 'acknowledged', id });
      return;
    case 'configure':
      send(configure(hand, request));
      return;
    case 'run':
      tell(id, hand.run(request.session_id, request.call, watcher), send);
      return;
    case 'set_up':
      tell(id, hand.setUp?.(request.call, watcher) ?? Promise.resolve(NO_SETUP), send);
      return;
    default:
      assertNever(request);
  }
}

const NO_SETUP: CallResult = { text: 'This hand has no setup of its own.', is_error: true };

function configure(
  hand: ServedHand,
  { id, configuration }: Extract<HandRequest, { type: 'configure' }>,
): HandReply {
  try {
    if (hand.configure === undefined) throw new Error('This hand takes no configuration.');
    hand.configure(configuration);
    return { type: 'acknowledged', id };
  } catch (error) {
    return { type: 'conflict', id, message: wordsOf(error) };
  }
}

function tell(id: string, call: Promise<CallResult>, send: (reply: HandReply) => void): void {
  call
    .then((result) => send({ type: 'result', id, result }))
    .catch((error: unknown) => send(refusal(id, error)));
}

function refusal(id: string, error: unknown): HandReply {
  const text = wordsOf(error);
  if (error instanceof CallConflictError) return { type: 'conflict', id, message: text };
  return { type: 'result', id, result: { text, is_error: true } };
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
