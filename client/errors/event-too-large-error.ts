import { DroverError } from './drover-error.ts';

/** Thrown before anything is sent. */
export class EventTooLargeError extends DroverError {
  readonly code = 'event_too_large';
  readonly bytes: number;
  readonly limitBytes: number;

  constructor(what: string, bytes: number, limitBytes: number) {
    super(
      `${what} is ${bytes} bytes as JSON, over the limit of ${limitBytes}; nothing was sent. ` +
        'Send less at a time, or put the content into a file or at a URL and name it',
    );
    this.bytes = bytes;
    this.limitBytes = limitBytes;
  }
}
