import { StoreError } from '../../store/store.ts';
import { DroverError } from './drover-error.ts';

/** The store refused, or could not be reached. */
export class StoreFailedError extends DroverError {
  readonly code = 'store_failed';
}

/** Turns what a store throws into an error of ours. */
export async function withStoreErrors<Result>(use: () => Promise<Result>): Promise<Result> {
  try {
    return await use();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new StoreFailedError(error.message, { cause: error });
  }
}
