import { DroverError } from './drover-error.ts';

/** What was waited for did not happen in the time given; the session goes on. */
export class WaitTimeoutError extends DroverError {
  readonly code = 'wait_timeout';

  constructor(sessionId: string, timeoutMs: number) {
    super(
      `session "${sessionId}" did not become idle within ${timeoutMs} ms; it goes on: wait again, or interrupt it`,
    );
  }
}
