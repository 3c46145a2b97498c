import { DroverError } from './drover-error.ts';

/** The session takes no more events; its log can still be read. */
export class SessionEndedError extends DroverError {
  readonly code = 'session_ended';

  constructor(sessionId: string, options?: ErrorOptions) {
    super(
      `session "${sessionId}" has ended and takes no more events; its log can still be read, and a ` +
        'new session can be started',
      options,
    );
  }
}
