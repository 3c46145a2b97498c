import type { Readable, Writable } from 'node:stream';
import { assertNever } from '../protocol/assert-never.ts';
import { CallConflictError, type Hand } from './hand.ts';
import {
  type HandFrame,
  type HandHello,
  type HandReply,
  type HandRequest,
  readFrames,
  writeFrame,
} from './wire.ts';

/** Answers the requests of one stream. A call goes on when its stream has gone. */
export function serveHand(
  hand: Hand,
  hello: HandHello,
  stream: { readonly input: Readable; readonly output: Writable },
): void {
  const { input, output } = stream;
  const send = (frame: HandFrame): void => void writeFrame(output, frame);
  // A stream whose other side has gone ends by itself; its calls are asked for on another one.
  output.on('error', () => {});
  send(hello);
  readFrames<HandRequest>(input, (request) => answer(hand, request, send));
}

function answer(hand: Hand, request: HandRequest, send: (reply: HandReply) => void): void {
  const { id } = request;
  switch (request.type) {
    case 'ping':
      send({ type: 'pong', id });
      return;
    case 'cancel':
      hand.cancel(request);
      send({ type: 'acknowledged', id });
      return;
    case 'run':
      hand
        .run(request.session_id, request.call, (progress) =>
          send({ type: 'progress', id, ...progress }),
        )
        .then((result) => send({ type: 'result', id, result }))
        .catch((error: unknown) => send(refusal(id, error)));
      return;
    default:
      assertNever(request);
  }
}

function refusal(id: string, error: unknown): HandReply {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof CallConflictError) return { type: 'conflict', id, message: text };
  return { type: 'result', id, result: { text, is_error: true } };
}
