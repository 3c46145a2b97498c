/**
 * Bytes of JSON of all events sent at once. Temporal refuses a payload of 2 MB, and one of its
 * messages carries the payload with more around it.
 */
export const MAX_EVENTS_BYTES = 1_500_000;

export interface Oversized {
  /** The event that is too large by itself, or all of them. */
  readonly what: string;
  readonly bytes: number;
}

/** What is over the limit, if anything is. */
export function findOversized(
  events: readonly { readonly type: string }[],
  name = 'events',
): Oversized | undefined {
  const sizes = events.map(jsonBytes);
  for (const [index, event] of events.entries()) {
    const bytes = sizes[index] ?? 0;
    if (bytes > MAX_EVENTS_BYTES) return { what: `${name}[${index}] (${event.type})`, bytes };
  }
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
  if (total <= MAX_EVENTS_BYTES) return undefined;
  return { what: `all ${events.length} ${name} together`, bytes: total };
}

export function jsonBytes(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

export function describeOversized({ what, bytes }: Oversized): string {
  return (
    `${what}: ${bytes} bytes as JSON, over the limit of ${MAX_EVENTS_BYTES}. Send less at a time, ` +
    'or put the content into a file or at a URL and name it'
  );
}
