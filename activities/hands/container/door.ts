import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import {
  containerOf,
  type Order,
  readLine,
  toVisit,
  type Visit,
  writeLine,
} from '../../../hand/visit.ts';
import { HandGoneError } from '../hand-gone-error.ts';

/** Where the hands in containers come to this worker: each brings an idle stream, again and again. */
export interface Door {
  /** Hands that are nobody's. */
  free(): readonly Visit[];
  /** Whose it said it is when it came last. */
  ownerOf(instance: string): string | null;
  /** Whether it has a stream for us now. */
  isHere(instance: string): boolean;
  /** Whether another instance runs in its container by now. */
  hasEnded(instance: string): boolean;
  /** Resolves when a hand has come or gone, or the signal is aborted. */
  changed(signal: AbortSignal): Promise<void>;
  /**
   * Uses a stream of the instance, which is waited for.
   *
   * @throws {HandGoneError} when another instance runs in its container.
   */
  open(instance: string, order: Order): Promise<Duplex>;
  close(): Promise<void>;
}

export interface DoorOptions {
  /** Of the socket, in a folder that hands can read and not write. */
  readonly path: string;
  /** Called for each stream that a hand brings. */
  onVisit?(visit: Visit): void;
}

/** Who brings a stream says who it is at once. */
const INTRODUCTION_MS = 5_000;
/** A hand brings the next stream as soon as one is used. */
const OPEN_MS = 2_000;
/** Of each hand: what is more is of streams that it has closed already. */
const MOST_IDLE = 4;

interface Guest {
  visit: Visit;
  readonly idle: Set<Socket>;
}

export async function openDoor({ path, onVisit }: DoorOptions): Promise<Door> {
  const guests = new Guests(onVisit);
  const server = createServer((stream) => void guests.admit(stream));
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  server.listen(path);
  await once(server, 'listening');
  // Hands have another user, perhaps.
  chmodSync(path, 0o666);
  return {
    free: () => guests.free(),
    ownerOf: (instance) => guests.ownerOf(instance),
    isHere: (instance) => guests.isHere(instance),
    hasEnded: (instance) => guests.hasEnded(instance),
    changed: (signal) => guests.changed(signal),
    open: (instance, order) => guests.open(instance, order),
    async close() {
      guests.close();
      rmSync(path, { force: true });
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

class Guests {
  readonly #onVisit: ((visit: Visit) => void) | undefined;
  /** By instance. */
  readonly #guests = new Map<string, Guest>();
  /** The instance that came last, by container. */
  readonly #latest = new Map<string, string>();
  readonly #streams = new Set<Socket>();
  #waiting = Promise.withResolvers<void>();

  constructor(onVisit: ((visit: Visit) => void) | undefined) {
    this.#onVisit = onVisit;
  }

  free(): readonly Visit[] {
    return [...this.#guests.values()]
      .filter(({ visit, idle }) => visit.owner === null && idle.size > 0)
      .map(({ visit }) => visit);
  }

  ownerOf(instance: string): string | null {
    return this.#guests.get(instance)?.visit.owner ?? null;
  }

  isHere(instance: string): boolean {
    return (this.#guests.get(instance)?.idle.size ?? 0) > 0;
  }

  hasEnded(instance: string): boolean {
    const latest = this.#latest.get(containerOf(instance));
    return latest !== undefined && latest !== instance;
  }

  async changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const stopped = new AbortController();
    const aborted = once(signal, 'abort', { signal: stopped.signal }).catch(() => {});
    await Promise.race([this.#waiting.promise, aborted]);
    stopped.abort();
  }

  async admit(stream: Socket): Promise<void> {
    // A hand that idles must not keep a worker from ending.
    stream.unref().on('error', () => {});
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    const timer = setTimeout(() => stream.destroy(), INTRODUCTION_MS).unref();
    const visit = toVisit(await readLine(stream));
    clearTimeout(timer);
    if (visit === undefined || stream.destroyed) {
      stream.destroy();
      return;
    }
    this.#welcome(visit, stream);
    this.#onVisit?.(visit);
    this.#tellChange();
  }

  async open(instance: string, order: Order): Promise<Duplex> {
    const tooLate = AbortSignal.timeout(OPEN_MS);
    for (;;) {
      if (this.hasEnded(instance)) {
        throw new HandGoneError('its container has ended, and was started anew');
      }
      const stream = await this.#takeIdle(instance, order);
      if (stream !== undefined) return stream;
      if (tooLate.aborted) throw new Error(`Hand instance ${instance} has brought no stream.`);
      await this.changed(tooLate);
    }
  }

  /** Undefined when there is none that the hand still has. */
  async #takeIdle(instance: string, order: Order): Promise<Duplex | undefined> {
    const idle = this.#guests.get(instance)?.idle ?? new Set();
    for (const stream of idle) {
      idle.delete(stream);
      writeLine(stream, order);
      const timer = setTimeout(() => stream.destroy(), OPEN_MS);
      const answer = await readLine(stream);
      clearTimeout(timer);
      if (answer !== order) {
        stream.destroy();
        continue;
      }
      // Once who asked for it listens.
      if (order === 'calls') setImmediate(() => stream.resume());
      return stream;
    }
    return undefined;
  }

  close(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  #welcome(visit: Visit, stream: Socket): void {
    const { container, instance } = visit;
    const before = this.#latest.get(container);
    if (before !== undefined && before !== instance) this.#forget(before);
    this.#latest.set(container, instance);
    const guest = this.#guests.get(instance) ?? { visit, idle: new Set() };
    guest.visit = visit;
    guest.idle.add(stream);
    this.#guests.set(instance, guest);
    for (const old of [...guest.idle].slice(0, -MOST_IDLE)) old.destroy();
    // It is read to notice its end: nothing is said on it before it is used.
    stream.resume();
    stream.once('close', () => {
      guest.idle.delete(stream);
      this.#tellChange();
    });
  }

  #forget(instance: string): void {
    for (const stream of this.#guests.get(instance)?.idle ?? []) stream.destroy();
    this.#guests.delete(instance);
  }

  #tellChange(): void {
    this.#waiting.resolve();
    this.#waiting = Promise.withResolvers();
  }
}
