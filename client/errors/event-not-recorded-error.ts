import { DroverError } from './drover-error.ts';

/**
 * No worker took the events in time, and the log does not hold them. The server may yet hand them
 * to a worker that appears later, so send again with the same `id`: it is never recorded twice.
 */
export class EventNotRecordedError extends DroverError {
  readonly code = 'event_not_recorded';
  /** Pass it as `id` when sending again. */
  readonly id: string;

  constructor(id: string, reason: string, options?: ErrorOptions) {
    super(
      `the event was not recorded: ${reason}. Then send it again with the same id, ${id}: an id is ` +
        'never recorded twice, even if the server still delivers this attempt',
      options,
    );
    this.id = id;
  }
}
