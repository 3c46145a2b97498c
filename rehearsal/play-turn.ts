import type { ServerResponse } from 'node:http';
import { assertNever } from '../protocol/assert-never.ts';
import { composeMessage } from './compose-message.ts';
import type { BrokenEnd, MessageTurn, Pace, RehearsalRequest, Turn } from './player.ts';
import { toStreamEvents } from './stream-events.ts';

const DELTA_CHARACTERS = 24;

/** One event of a stream as text on the wire. */
interface Frame {
  readonly type: string;
  readonly text: string;
}

export async function playTurn(
  turn: Turn,
  request: RehearsalRequest,
  response: ServerResponse,
): Promise<void> {
  switch (turn.type) {
    case 'hang':
      return;
    case 'error':
      return sendError(turn, response);
    case 'sse':
      return stream(toFrames(turn.text), response, turn.pace, turn.ends);
    case 'message':
      return playMessage(turn, request, response);
    default:
      return assertNever(turn);
  }
}

function sendError(turn: Extract<Turn, { type: 'error' }>, response: ServerResponse): void {
  const isText = typeof turn.body === 'string';
  response.writeHead(turn.status, {
    'content-type': isText ? 'text/plain' : 'application/json',
    ...turn.headers,
  });
  response.end(isText ? turn.body : JSON.stringify(turn.body ?? {}));
}

function playMessage(
  turn: MessageTurn,
  request: RehearsalRequest,
  response: ServerResponse,
): Promise<void> | void {
  const message = composeMessage(turn, request);
  if (request.stream !== true) {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(message));
    return;
  }
  const events = toStreamEvents(message, turn.deltaCharacters ?? DELTA_CHARACTERS);
  const frames = events.map((event) => frame(event.type, event));
  return stream(frames, response, turn.pace, turn.ends);
}

function frame(type: string, data: unknown): Frame {
  return { type, text: `event: ${type}\ndata: ${JSON.stringify(data)}\n\n` };
}

/** Cuts recorded text at its blank lines and changes nothing of it. */
function toFrames(text: string): Frame[] {
  return text.split(/(?<=\n\n|\r\n\r\n)/).map((part) => ({
    type: /^event: *(\S+)/m.exec(part)?.[1] ?? 'message',
    text: part,
  }));
}

async function stream(
  frames: readonly Frame[],
  response: ServerResponse,
  pace: Pace | undefined,
  ends: BrokenEnd | undefined,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.flushHeaders();
  for (const [index, { type, text }] of frames.entries()) {
    if (ends?.afterEvents === index) return breakOff(response, ends);
    await pace?.({ index, type });
    if (response.destroyed) return;
    await write(response, text);
  }
  if (ends !== undefined) return breakOff(response, ends);
  response.end();
}

/** Waits for a slow reader, or for its going away. */
async function write(response: ServerResponse, text: string): Promise<void> {
  if (response.write(text)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

function breakOff(response: ServerResponse, ends: BrokenEnd): void {
  switch (ends.type) {
    case 'hang':
      return;
    case 'cut':
      // As when a proxy gives up: only the last events are missing.
      response.end();
      return;
    case 'drop':
      response.destroy();
      return;
    case 'error':
      response.end(frame('error', { type: 'error', error: ends.error }).text);
      return;
    default:
      assertNever(ends);
  }
}
