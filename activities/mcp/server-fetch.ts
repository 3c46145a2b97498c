import type { FetchLike } from '@modelcontextprotocol/client';
import type { SentTokens } from './credential.ts';

/** An answer, or one event of a stream, of more bytes is not read. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

export class AnswerTooLargeError extends Error {
  override readonly name = 'AnswerTooLargeError';

  constructor() {
    super(`more than ${MAX_ANSWER_BYTES / 1024 / 1024} MiB, which is not read`);
  }
}

/** `fetch` of one connection: notes which token was refused, and bounds what is read. */
export function createServerFetch(fetch: FetchLike, sentTokens: SentTokens): FetchLike {
  return async (url, init) => {
    const response = await fetch(url, init);
    const token = new Headers(init?.headers).get('authorization')?.replace(/^Bearer /, '');
    const bounded = boundBody(response);
    if (token !== undefined) sentTokens.set(bounded, token);
    return bounded;
  };
}

const END_OF_LINE = 10;

function boundBody(response: Response): Response {
  const { body, status, statusText, headers } = response;
  if (body === null) return response;
  const isStream = headers.get('content-type')?.includes('text/event-stream') === true;
  let bytes = 0;
  const bounded = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        // A stream may be long; it is one line of it that is held.
        const lastEnd = isStream ? chunk.lastIndexOf(END_OF_LINE) : -1;
        bytes = lastEnd < 0 ? bytes + chunk.length : chunk.length - lastEnd - 1;
        if (bytes > MAX_ANSWER_BYTES) controller.error(new AnswerTooLargeError());
        else controller.enqueue(chunk);
      },
    }),
  );
  return new Response(bounded, { status, statusText, headers });
}
