import { Refusal } from './refusal.ts';

// Git's framing (gitprotocol-common): four hexadecimal digits of length, themselves included, then
// so many bytes. 0000 ends a section.

export const FLUSH = '0000';
const LENGTH_BYTES = 4;
export const MAX_PACKET_BYTES = 65_520;

export function packetLine(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  const length = (bytes.length + LENGTH_BYTES).toString(16).padStart(LENGTH_BYTES, '0');
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** Packets on a side band of their own (1: data, 2: told to the person), as many as it takes. */
export function sideBand(band: 1 | 2, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  const most = MAX_PACKET_BYTES - LENGTH_BYTES - 1;
  const count = Math.ceil(bytes.length / most);
  const packets = Array.from({ length: count }, (_, index) =>
    packetLine(
      Buffer.concat([Buffer.from([band]), bytes.subarray(index * most, (index + 1) * most)]),
    ),
  );
  return Buffer.concat(packets);
}

export type Packet =
  | { readonly type: 'data'; readonly content: Buffer }
  /** 0000, 0001 and 0002: ends of sections. */
  | { readonly type: 'end'; readonly length: 0 | 1 | 2 };

/** Reads packets from the head of a stream, and leaves the rest of it to others. */
export interface PacketReader {
  /** Undefined: the stream has ended before the packet. */
  next(): Promise<Packet | undefined>;
  /** What comes after the packets that were read. */
  rest(): AsyncGenerator<Buffer>;
  close(): Promise<void>;
}

/** @throws {Refusal} from its methods, when what comes is no packet. */
export function createPacketReader(source: AsyncIterable<Buffer>): PacketReader {
  const chunks = source[Symbol.asyncIterator]();
  let buffered: Buffer = Buffer.alloc(0);

  const has = async (count: number): Promise<boolean> => {
    while (buffered.length < count) {
      const { done, value } = await chunks.next();
      if (done === true) return false;
      buffered = Buffer.concat([buffered, value]);
    }
    return true;
  };
  const take = (count: number): Buffer => {
    const taken = buffered.subarray(0, count);
    buffered = buffered.subarray(count);
    return taken;
  };

  return {
    async next() {
      if (!(await has(LENGTH_BYTES))) {
        if (buffered.length > 0) throw malformed('it ends within a packet');
        return undefined;
      }
      const length = lengthOf(take(LENGTH_BYTES));
      if (length <= 2) return { type: 'end', length: length as 0 | 1 | 2 };
      const size = length - LENGTH_BYTES;
      if (!(await has(size))) throw malformed('it ends within a packet');
      return { type: 'data', content: take(size) };
    },
    async *rest() {
      const first = take(buffered.length);
      if (first.length > 0) yield first;
      yield* { [Symbol.asyncIterator]: () => chunks };
    },
    async close() {
      await chunks.return?.();
    },
  };
}

function lengthOf(digits: Buffer): number {
  const text = digits.toString('latin1');
  const length = /^[0-9a-f]{4}$/i.test(text) ? Number.parseInt(text, 16) : Number.NaN;
  const isLength = length <= 2 || (length > LENGTH_BYTES && length <= MAX_PACKET_BYTES);
  if (isLength) return length;
  throw malformed('a packet has no length');
}

function malformed(words: string): Refusal {
  return new Refusal({ status: 400, reason: 'malformed', words: `no request of git: ${words}` });
}
