import type { Socket } from 'node:net';
import type { HandToken } from './hand-token.ts';
import { answerOf, Refusal } from './refusal.ts';
import type { Target } from './target.ts';

/** What is known of a request, for its refusal. */
export interface Known {
  target?: Target;
  token?: HandToken;
}

/** A refused client has this long to take the answer. */
const FAREWELL_MS = 5_000;

/** A fault of ours is refused too: nothing is let through that was not checked. */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const words = 'the proxy failed';
  return new Refusal({ status: 500, reason: 'misconfigured', words, cause: error });
}

/** Answers where there is no response object. */
export function sayGoodbye(socket: Socket, refusal: Refusal): void {
  if (socket.destroyed) return;
  const { status, statusText, headers, body } = answerOf(refusal);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.setTimeout(FAREWELL_MS, () => socket.destroy());
  socket.end([`HTTP/1.1 ${status} ${statusText}`, ...lines, '', body].join('\r\n'));
  // What the client still sends must not keep the answer from it.
  socket.resume();
}

export function whyUnreadable(
  { code }: NodeJS.ErrnoException,
  maxHeaderBytes: number,
): { readonly status: number; readonly words: string } {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return { status: 431, words: `the head of a request has at most ${maxHeaderBytes} bytes` };
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: 408, words: 'the head of the request did not come in time' };
  }
  return { status: 400, words: `the request cannot be read (${code ?? 'no HTTP'})` };
}

/** For the log: nothing secret is in it. */
export function lineOf(
  { status, reason, message, cause }: Refusal,
  { from, target, token }: Known & { readonly from: string },
): object {
  return {
    time: new Date().toISOString(),
    event: 'refused',
    status,
    reason,
    words: message,
    from,
    host: target?.host ?? null,
    port: target?.port ?? null,
    session: token?.session ?? null,
    hand: token?.hand ?? null,
    ...(cause instanceof Error ? { fault: cause.message } : {}),
  };
}
