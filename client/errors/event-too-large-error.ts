import { describeOversized, MAX_EVENTS_BYTES, type Oversized } from '../../protocol/oversized.ts';
import { DroverError } from './drover-error.ts';

/** Thrown before anything is sent. */
export class EventTooLargeError extends DroverError {
  readonly code = 'event_too_large';
  readonly bytes: number;
  readonly limitBytes = MAX_EVENTS_BYTES;

  constructor(oversized: Oversized) {
    super(`${describeOversized(oversized)}; nothing was sent`);
    this.bytes = oversized.bytes;
  }
}
