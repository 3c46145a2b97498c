import { type Readable, Transform } from 'node:stream';

/** What a stream does to bytes of its own accord, once. */
export interface Fault {
  readonly what: 'lost' | 'doubled' | 'changed' | 'cut';
  readonly afterBytes: number;
  readonly bytes: number;
}

/**
 * The stream with its fault.
 *
 * @param cut Ends both sides.
 */
export function spoil(stream: Readable, fault: Fault, cut: () => void): Transform {
  let passed = 0;
  const transform = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const start = fault.afterBytes - passed;
      passed += chunk.length;
      if (start < 0 || start >= chunk.length) return done(null, chunk);
      const struck = chunk.subarray(start, start + fault.bytes);
      const rest = chunk.subarray(start + fault.bytes);
      done(null, Buffer.concat([chunk.subarray(0, start), replaced(struck, fault), rest]));
      if (fault.what === 'cut') cut();
    },
  });
  stream.on('close', () => transform.destroy());
  return stream.pipe(transform);
}

function replaced(struck: Buffer, { what }: Fault): Buffer {
  switch (what) {
    case 'doubled':
      return Buffer.concat([struck, struck]);
    case 'changed':
      return Buffer.from(struck.map((byte) => byte ^ 1));
    default:
      return Buffer.alloc(0);
  }
}
