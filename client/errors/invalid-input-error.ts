import { DroverError } from './drover-error.ts';

/** What was given does not fit: the message names each field. Nothing was recorded. */
export class InvalidInputError extends DroverError {
  readonly code = 'invalid_input';
}
