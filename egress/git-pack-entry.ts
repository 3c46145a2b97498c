/** A pack that cannot be read, or not within the limits: nothing is known of it. */
export class PackUnreadableError extends Error {
  override readonly name = 'PackUnreadableError';
}

/** What is there of a pack and was not read yet. */
export class PackBuffer {
  bytes: Buffer = Buffer.alloc(0);
  /** Where in the pack it begins. */
  at = 0;

  append(chunk: Buffer): void {
    this.bytes = this.bytes.length === 0 ? chunk : Buffer.concat([this.bytes, chunk]);
  }

  skip(count: number): void {
    this.bytes = this.bytes.subarray(count);
    this.at += count;
  }
}

/** What stands before the packed content of an object. */
export type PackEntry = {
  /** Where in the pack it stands. */
  readonly at: number;
  /** Of the content, unpacked. */
  readonly size: number;
} & (
  | { readonly type: 'commit' | 'other' }
  /** What differs from another one, by its id or its place in the pack. */
  | { readonly type: 'delta'; readonly base: string | number }
);

const COMMIT = 1;
const OFFSET_DELTA = 6;
const ID_DELTA = 7;
const MORE = 0x80;
const MAX_NUMBER_BYTES = 7;

/**
 * Reads the next one; undefined when it is not there as a whole.
 *
 * @throws {PackUnreadableError}
 */
export function readEntry(pack: PackBuffer, hashBytes: number): PackEntry | undefined {
  const { bytes, at } = pack;
  const head = readNumber(bytes, 0);
  if (head === undefined) return undefined;
  const first = bytes[0] ?? 0;
  const type = (first >> 4) & 7;
  const size = (first & 15) + sizeAbove(bytes, head.length);
  if (type === OFFSET_DELTA) {
    const distance = readNumber(bytes, head.length);
    if (distance === undefined) return undefined;
    pack.skip(head.length + distance.length);
    return { type: 'delta', at, size, base: at - distance.value };
  }
  if (type === ID_DELTA) {
    const end = head.length + hashBytes;
    if (bytes.length < end) return undefined;
    const base = bytes.toString('hex', head.length, end);
    pack.skip(end);
    return { type: 'delta', at, size, base };
  }
  pack.skip(head.length);
  return { type: type === COMMIT ? 'commit' : 'other', at, size };
}

/** A number of seven bits a byte, the highest first, each but the last one more than it says. */
function readNumber(
  bytes: Buffer,
  from: number,
): { readonly value: number; readonly length: number } | undefined {
  let value = 0;
  for (let index = 0; index < MAX_NUMBER_BYTES; index += 1) {
    const byte = bytes[from + index];
    if (byte === undefined) return undefined;
    value = value * 128 + (byte & 127);
    if ((byte & MORE) === 0) return { value, length: index + 1 };
    value += 1;
  }
  throw new PackUnreadableError('a number in it is too large');
}

/** The rest of a size: seven bits a byte, the lowest first, above the four of the first byte. */
function sizeAbove(bytes: Buffer, end: number): number {
  let size = 0;
  for (let index = end - 1; index >= 1; index -= 1) size = size * 128 + ((bytes[index] ?? 0) & 127);
  return size * 16;
}
