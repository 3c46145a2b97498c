import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { FLUSH, packetLine, sideBand } from '../../egress/git-packet-line.ts';
import { gitRedaction } from '../../egress/git-redaction.ts';

const SECRET = 'ghs_0123456789abcdefghij';
const MASKED = '*'.repeat(SECRET.length);

async function redacted(bytes: Buffer, size: number): Promise<Buffer> {
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
  return buffer(Readable.from(pieces).pipe(gitRedaction(SECRET)));
}

const said = (...texts: readonly string[]) => texts.map((text) => sideBand(2, text));
const flush = Buffer.from(FLUSH);

describe.each([1, 3, 7, 1_000_000])('in pieces of %i bytes', (size) => {
  test.each<[string, Buffer[], Buffer[]]>([
    ['nothing to find', [...said('hello'), flush], [...said('hello'), flush]],
    ['a message', [...said(`is ${SECRET}?`), flush], [...said(`is ${MASKED}?`), flush]],
    [
      'a message cut in two',
      [...said(`is ${SECRET.slice(0, 9)}`, `${SECRET.slice(9)}?`), flush],
      [...said(`is ${MASKED.slice(0, 9)}`, `${MASKED.slice(9)}?`), flush],
    ],
    [
      'a message cut in many, with data among them',
      [
        ...said(...SECRET.slice(0, 5)),
        sideBand(1, 'PACK'),
        ...said(...SECRET.slice(5), ' and on'),
        flush,
      ],
      [
        sideBand(1, 'PACK'),
        ...said(...MASKED.slice(0, 5)),
        ...said(...MASKED.slice(5), ' and on'),
        flush,
      ],
    ],
    [
      'the beginning of it alone',
      [...said('gh', 'ghs_012345'), flush],
      [...said('gh', 'ghs_012345'), flush],
    ],
    [
      'a line, an error, and its base64',
      [
        packetLine(`ERR ${SECRET}`),
        packetLine(`x ${Buffer.from(`me:${SECRET}`).toString('base64').slice(4)}`),
        flush,
      ],
      [packetLine(`ERR ${MASKED}`), packetLine(`x ${'*'.repeat(31)}0`), flush],
    ],
    [
      'no packets',
      [flush, Buffer.from(`PACK ${SECRET} x`)],
      [flush, Buffer.from(`PACK ${MASKED} x`)],
    ],
    [
      'the end of it cut off',
      said(`${SECRET}x`).map((one) => one.subarray(0, -1)),
      [Buffer.concat([...said(`${MASKED}x`)]).subarray(0, -1)],
    ],
    ['nothing', [], []],
  ])('%s', async (what, given, expected) => {
    const result = await redacted(Buffer.concat(given), size);
    if (what.includes('base64')) {
      expect(result.length).toBe(Buffer.concat(given).length);
      expect(result.toString()).toMatch(/ERR \*{24}.*x \*{20}/s);
    } else {
      expect(result.toString()).toBe(Buffer.concat(expected).toString());
    }
  });
});

test('a pack passes as it is, whatever it looks like', async () => {
  const pack = Buffer.concat([Buffer.alloc(200_000, 7), Buffer.from(SECRET)]);
  const bytes = Buffer.concat([packetLine('packfile\n'), sideBand(1, pack), flush]);
  expect((await redacted(bytes, 65_536)).equals(bytes)).toBe(true);
});
