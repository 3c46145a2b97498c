import { Transform } from 'node:stream';
import { type Replacement, Replacer, replaceAll } from './replace-bytes.ts';
import { concealing } from './value-forms.ts';

const MASK = '*';
const LENGTH_BYTES = 4;
const DATA_BAND = 1;
/** What is told to a person: one text, in packets as it happens to be cut. */
const TEXT_BANDS: readonly number[] = [2, 3];

/**
 * Blacks a secret out of an answer of Git, also where a server cuts it in two by the packets of its
 * messages. The length stays, so what is framed stays whole. Packets of a pack are compressed: there
 * is nothing to find in them, and they pass as they are.
 */
export function gitRedaction(secret: string): Transform {
  const masks = concealing([{ value: secret, placeholder: '' }]).map(({ from }) => ({
    from,
    to: Buffer.alloc(from.length, MASK),
  }));
  const redacting = new Redacting(masks);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (const part of joined(redacting.push(chunk))) this.push(part);
      done();
    },
    flush(done) {
      for (const part of redacting.end()) this.push(part);
      done();
    },
  });
}

/** Pieces of one chunk that follow each other are one again: each would be written by itself. */
function joined(parts: readonly Buffer[]): readonly Buffer[] {
  const whole: Buffer[] = [];
  for (const part of parts) {
    const last = whole.at(-1);
    const follows =
      last !== undefined &&
      last.buffer === part.buffer &&
      last.byteOffset + last.length === part.byteOffset;
    if (follows) {
      const length = last.length + part.length;
      whole[whole.length - 1] = Buffer.from(last.buffer, last.byteOffset, length);
    } else if (part.length > 0) {
      whole.push(part);
    }
  }
  return whole;
}

class Redacting {
  readonly #masks: readonly Replacement[];
  readonly #longest: number;
  #buffered: Buffer = Buffer.alloc(0);
  /** Bytes to come of a packet that passes as it is. */
  #passing = 0;
  /** Packets of messages, whole, whose end may be the beginning of a secret. */
  #held: readonly Buffer[] = [];
  /** For what is not in packets, or not any more. */
  #plain: Replacer | undefined;

  constructor(masks: readonly Replacement[]) {
    this.#masks = masks;
    this.#longest = Math.max(...masks.map(({ from }) => from.length));
  }

  push(chunk: Buffer): readonly Buffer[] {
    const parts: Buffer[] = [];
    let rest = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
    while (rest.length > 0) {
      const length = this.#take(rest, parts);
      if (length === undefined) break;
      rest = rest.subarray(length);
    }
    this.#buffered = rest;
    return parts;
  }

  end(): readonly Buffer[] {
    const cut = replaceAll(this.#buffered, this.#masks);
    return [...this.#release(), cut, ...(this.#plain?.end() ?? [])].filter(
      ({ length }) => length > 0,
    );
  }

  /** @returns how many bytes were taken; undefined: more must come. */
  #take(bytes: Buffer, parts: Buffer[]): number | undefined {
    if (this.#plain !== undefined) {
      parts.push(...this.#plain.push(bytes));
      return bytes.length;
    }
    if (this.#passing > 0) {
      const passed = bytes.subarray(0, this.#passing);
      parts.push(passed);
      this.#passing -= passed.length;
      return passed.length;
    }
    return this.#takePacket(bytes, parts);
  }

  #takePacket(bytes: Buffer, parts: Buffer[]): number | undefined {
    if (bytes.length < LENGTH_BYTES) return undefined;
    const digits = bytes.toString('latin1', 0, LENGTH_BYTES);
    const length = /^[0-9a-f]{4}$/i.test(digits) ? Number.parseInt(digits, 16) : Number.NaN;
    if (length < LENGTH_BYTES) {
      parts.push(...this.#release(), bytes.subarray(0, LENGTH_BYTES));
      return LENGTH_BYTES;
    }
    if (Number.isNaN(length)) {
      parts.push(...this.#release());
      this.#plain = new Replacer(this.#masks);
      return 0;
    }
    // The first byte of what it holds tells what that is.
    if (bytes.length === LENGTH_BYTES && length > LENGTH_BYTES) return undefined;
    if (bytes[LENGTH_BYTES] === DATA_BAND) {
      this.#passing = length;
      return 0;
    }
    if (bytes.length < length) return undefined;
    const packet = bytes.subarray(0, length);
    const isText = TEXT_BANDS.includes(packet[LENGTH_BYTES] ?? 0);
    if (isText) parts.push(...this.#hold(packet));
    else parts.push(...this.#release(), replaceAll(packet, this.#masks));
    return length;
  }

  /** @returns the packets that need not wait for the next one. */
  #hold(packet: Buffer): readonly Buffer[] {
    const packets = this.#redacted([...this.#held, packet]);
    const texts = packets.map((one) => one.subarray(LENGTH_BYTES + 1));
    let waiting = this.#beginning(Buffer.concat(texts).subarray(-this.#longest));
    let count = packets.length;
    while (waiting > 0 && count > 0) {
      count -= 1;
      waiting -= texts[count]?.length ?? 0;
    }
    this.#held = packets.slice(count);
    return packets.slice(0, count);
  }

  #release(): readonly Buffer[] {
    const held = this.#held;
    this.#held = [];
    return held;
  }

  /** As one text, put back into its packets. */
  #redacted(packets: readonly Buffer[]): readonly Buffer[] {
    const text = Buffer.concat(packets.map((one) => one.subarray(LENGTH_BYTES + 1)));
    const redacted = replaceAll(text, this.#masks);
    if (redacted.equals(text)) return packets;
    let at = 0;
    return packets.map((one) => {
      const head = one.subarray(0, LENGTH_BYTES + 1);
      const size = one.length - head.length;
      at += size;
      return Buffer.concat([head, redacted.subarray(at - size, at)]);
    });
  }

  /** How many bytes at the end may be the beginning of a secret. */
  #beginning(text: Buffer): number {
    for (let from = 0; from < text.length; from += 1) {
      const end = text.subarray(from);
      const isBeginning = this.#masks.some(
        (mask) => end.length < mask.from.length && end.equals(mask.from.subarray(0, end.length)),
      );
      if (isBeginning) return end.length;
    }
    return 0;
  }
}
