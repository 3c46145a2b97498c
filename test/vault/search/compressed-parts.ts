import { constants, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib';

const MOST = { maxOutputLength: 256 * 1024 * 1024 };
const OPTIONS = { finishFlush: constants.Z_SYNC_FLUSH, ...MOST };
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const MIN_BYTES = 12;
const GZIP_HEADER_BYTES = 10;

/**
 * What is compressed in these bytes, wherever it begins and whatever follows: gzip, zlib as objects of
 * git are, and zstd as kept workspaces are.
 */
export function* compressedParts(bytes: Buffer): Generator<Buffer> {
  for (const offset of offsetsOf(bytes, 0x1f)) {
    if (bytes[offset + 1] !== 0x8b || bytes[offset + 2] !== 0x08) continue;
    yield* inflated(() => inflateRawSync(bytes.subarray(endOfHeader(bytes, offset)), OPTIONS));
  }
  for (const offset of offsetsOf(bytes, 0x78)) {
    if (bytes.readUInt16BE(offset) % 31 !== 0 || !isBlock(bytes[offset + 2])) continue;
    yield* inflated(() => inflateSync(bytes.subarray(offset), OPTIONS));
  }
  for (const offset of offsetsOf(bytes, ZSTD)) {
    yield* inflated(() => zstdDecompressSync(bytes.subarray(offset), MOST));
  }
}

function* offsetsOf(bytes: Buffer, first: number | Buffer): Generator<number> {
  const last = bytes.length - MIN_BYTES;
  for (let at = bytes.indexOf(first); at >= 0 && at <= last; at = bytes.indexOf(first, at + 1)) {
    yield at;
  }
}

/** Node reads no gzip that something else follows, so its header is read here. */
function endOfHeader(bytes: Buffer, offset: number): number {
  const flags = bytes[offset + 3] ?? 0;
  let at = offset + GZIP_HEADER_BYTES;
  if (flags & 0b100) at += 2 + bytes.readUInt16LE(at);
  for (const text of [0b1000, 0b10000]) if (flags & text) at = bytes.indexOf(0, at) + 1;
  return flags & 0b10 ? at + 2 : at;
}

/** Whether this can begin a block: most offsets that look like a header are none. */
function isBlock(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0b110) !== 0b110;
}

/** @throws Error It is more than can be searched. */
function* inflated(read: () => Buffer): Generator<Buffer> {
  try {
    const bytes = read();
    if (bytes.length > 0) yield bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw error;
    // Bytes that only looked like it.
  }
}
