import { DroverError } from './drover-error.ts';

/** A hand lives, and its files could not be collected. */
export class FilesUnavailableError extends DroverError {
  readonly code = 'files_unavailable';

  constructor(sessionId: string, hand: string, reason: string, options?: ErrorOptions) {
    super(
      `the files of hand "${hand}" of session "${sessionId}" were not collected: ${reason}`,
      options,
    );
  }
}
