import { MAX_EVENTS_BYTES } from '../protocol/check-events.ts';
import { EventTooLargeError } from './errors/event-too-large-error.ts';

/** @throws EventTooLargeError naming the event that is too large, or their sum */
export function checkSize(events: readonly { readonly type: string }[], name = 'events'): void {
  let total = 0;
  for (const [index, event] of events.entries()) {
    const bytes = Buffer.byteLength(JSON.stringify(event));
    if (bytes > MAX_EVENTS_BYTES) {
      throw new EventTooLargeError(`${name}[${index}] (${event.type})`, bytes, MAX_EVENTS_BYTES);
    }
    total += bytes;
  }
  if (total > MAX_EVENTS_BYTES) {
    throw new EventTooLargeError(`all ${events.length} ${name} together`, total, MAX_EVENTS_BYTES);
  }
}
