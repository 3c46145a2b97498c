import { DroverError } from './drover-error.ts';

/** A registry entity is read and changed through a worker, and none answered. */
export class WorkerMissingError extends DroverError {
  readonly code = 'worker_missing';

  constructor(reason: string, options?: ErrorOptions) {
    super(`${reason}. Then try again`, options);
  }
}
