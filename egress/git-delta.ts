// gitformat-pack, "Deltified representation".

const COPY = 0x80;
const MAX_RESULT_BYTES = 1024 * 1024;
const WHOLE_COPY_BYTES = 0x10000;

/** What a difference makes of what it differs from; undefined when it is none of that. */
export function applyDelta(base: Buffer, delta: Buffer): Buffer | undefined {
  const reader = { delta, at: 0 };
  const baseSize = readSize(reader);
  const resultSize = readSize(reader);
  if (baseSize !== base.length || resultSize > MAX_RESULT_BYTES) return undefined;
  const result = Buffer.alloc(resultSize);
  let filled = 0;
  while (reader.at < delta.length) {
    const piece = readPiece(reader, base);
    if (piece === undefined || filled + piece.length > resultSize) return undefined;
    filled += piece.copy(result, filled);
  }
  return filled === resultSize ? result : undefined;
}

interface Reader {
  readonly delta: Buffer;
  at: number;
}

function readByte(reader: Reader): number {
  const byte = reader.delta[reader.at] ?? 0;
  reader.at += 1;
  return byte;
}

function readSize(reader: Reader): number {
  let size = 0;
  let factor = 1;
  for (;;) {
    const byte = readByte(reader);
    size += (byte & 127) * factor;
    if ((byte & COPY) === 0 || reader.at > reader.delta.length) return size;
    factor *= 128;
  }
}

function readPiece(reader: Reader, base: Buffer): Buffer | undefined {
  const order = readByte(reader);
  if (order === 0) return undefined;
  if ((order & COPY) === 0) {
    const piece = reader.delta.subarray(reader.at, reader.at + order);
    reader.at += order;
    return piece.length === order ? piece : undefined;
  }
  const offset = readParts(reader, order, 4);
  const length = readParts(reader, order >> 4, 3) || WHOLE_COPY_BYTES;
  const piece = base.subarray(offset, offset + length);
  return piece.length === length ? piece : undefined;
}

/** A number of which only the bytes are there that are not zero, as the bits of `which` say. */
function readParts(reader: Reader, which: number, count: number): number {
  let value = 0;
  for (let index = 0; index < count; index += 1) {
    if ((which & (1 << index)) !== 0) value += readByte(reader) * 256 ** index;
  }
  return value;
}
