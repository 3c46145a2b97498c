import type { Duplex } from 'node:stream';

/**
 * How a hand that cannot be reached comes to its workers: it brings streams to the socket of each,
 * says on each who it is, and waits until the worker has a use for it. So whoever is in a hand's
 * place has nothing but a socket of the worker's, and no way to another hand.
 */
export interface Visit {
  /** Where it runs: one instance after the other. */
  readonly container: string;
  readonly instance: string;
  /** Which hand of a session it is configured as; null while it is nobody's. */
  readonly owner: string | null;
}

/**
 * What a stream is used for, which the hand repeats before it goes on: frames (`wire.ts`), one run of the transfer program, or the news that
 * the hand is to end.
 */
export const ORDERS = ['calls', 'transfer', 'end'] as const;
export type Order = (typeof ORDERS)[number];

const NEWLINE = 0x0a;
const MAX_LINE_BYTES = 4_096;

/** The instance in a container; nobody knows it before it has started. */
export function instanceIn(container: string, start: string): string {
  return `${container}.${start}`;
}

/** Where an instance runs, or ran. */
export function containerOf(instance: string): string {
  return instance.slice(0, instance.lastIndexOf('.'));
}

export function toVisit(value: unknown): Visit | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { container, instance, owner } = value as Readonly<Record<string, unknown>>;
  if (typeof container !== 'string' || typeof instance !== 'string') return undefined;
  if (owner !== null && typeof owner !== 'string') return undefined;
  return containerOf(instance) === container ? { container, instance, owner } : undefined;
}

export function toOrder(value: unknown): Order | undefined {
  return ORDERS.find((order) => order === value);
}

/** Both sides say one line of JSON, before anything else. */
export function writeLine(stream: Duplex, value: unknown): void {
  stream.write(`${JSON.stringify(value)}\n`);
}

/**
 * Reads one line and leaves what comes after it in the stream, which is paused then.
 *
 * @returns undefined when the stream ends before, or it is no line of JSON.
 */
export function readLine(stream: Duplex): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  let read = Buffer.alloc(0);
  const settle = (value: unknown): void => {
    stream.off('data', onData).off('close', onClose);
    stream.pause();
    resolve(value);
  };
  const onClose = (): void => settle(undefined);
  const onData = (chunk: Buffer): void => {
    read = Buffer.concat([read, chunk]);
    const end = read.indexOf(NEWLINE);
    if (end < 0 && read.length <= MAX_LINE_BYTES) return;
    settle(end < 0 ? undefined : parse(read.subarray(0, end)));
    if (end >= 0 && end + 1 < read.length) stream.unshift(read.subarray(end + 1));
  };
  stream.on('data', onData).on('close', onClose);
  return promise;
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch {
    return undefined;
  }
}
