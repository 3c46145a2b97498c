import { DroverError } from './drover-error.ts';

/** Files are in the store of the workers, which this side was not told of. */
export class NoStoreError extends DroverError {
  readonly code = 'no_store';

  constructor(what: string) {
    super(`${what} on this side; set DROVER_STORE to the URL that the workers use`);
  }
}
