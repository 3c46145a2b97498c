import { DroverError } from './drover-error.ts';

/** The server refused or failed a request for a reason of its own, given in its words. */
export class RequestFailedError extends DroverError {
  readonly code = 'request_failed';
}
