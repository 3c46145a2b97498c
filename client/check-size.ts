import { EventTooLargeError } from './errors/event-too-large-error.ts';

/**
 * Temporal refuses a payload of 2 MB, and one of its messages carries the payload with more around
 * it. What is over this never leaves the client.
 */
export const MAX_EVENTS_BYTES = 1_500_000;

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
