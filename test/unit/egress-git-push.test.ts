import { describe, expect, test } from 'vitest';
import { createPacketReader, FLUSH, packetLine } from '../../egress/git-packet-line.ts';
import { readPushHead, writePushHead } from '../../egress/git-push-head.ts';
import { movesToProve, whyRefused } from '../../egress/git-push-rules.ts';
import { reportRefusedPush } from '../../egress/git-report.ts';

const ZERO = '0'.repeat(40);
const A = 'a'.repeat(40);
const B = 'b'.repeat(40);
const CAPABILITIES = '\0 report-status side-band-64k agent=git/2 object-format=sha1';

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function list(...lines: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat([...lines.map((line) => packetLine(line)), Buffer.from(FLUSH)]);
}

const read = (bytes: Buffer, size = 1_000_000) =>
  readPushHead(createPacketReader(pieces(bytes, size)));

describe('the head of a push', () => {
  test.each([1, 3, 4, 5, 64, 100_000])(
    'in pieces of %i bytes → its commands, and the pack is left',
    async (size) => {
      const head = list(
        `shallow ${B}`,
        `${ZERO} ${A} refs/heads/new${CAPABILITIES}\n`,
        `${A} ${B} refs/heads/ünï-code`,
        `${A} ${ZERO} refs/tags/gone`,
      );
      const pack = Buffer.from('PACK and so on, for a while');
      const reader = createPacketReader(pieces(Buffer.concat([head, pack]), size));
      expect(await readPushHead(reader)).toEqual({
        shallow: [B],
        capabilities: ['report-status', 'side-band-64k', 'agent=git/2', 'object-format=sha1'],
        commands: [
          { ref: 'refs/heads/new', from: null, to: A },
          { ref: 'refs/heads/ünï-code', from: A, to: B },
          { ref: 'refs/tags/gone', from: A, to: null },
        ],
      });
      expect((await Array.fromAsync(reader.rest())).join('')).toBe(pack.toString());
    },
  );

  test('without a command → none: git asks so whether it may push', async () => {
    expect(await read(Buffer.from(FLUSH))).toMatchObject({ commands: [] });
  });

  test('written anew → the same commands, and no capability that is not known', async () => {
    const sent = list(`${A} ${B} refs/heads/x\0report-status push-cert=1 foo side-band-64k atomic`);
    const head = await read(sent);
    expect(await read(writePushHead(head))).toEqual({
      ...head,
      capabilities: ['report-status', 'side-band-64k', 'atomic'],
    });
  });

  test.each<[string, Buffer]>([
    ['no packet', Buffer.from('GET / HTTP/1.1')],
    ['a length that is none', Buffer.from('00xz')],
    ['a length of 3', Buffer.from('0003')],
    ['an empty packet', Buffer.from('00040000')],
    ['no end', packetLine(`${A} ${B} refs/heads/x`)],
    ['an end within a packet', packetLine(`${A} ${B} refs/heads/x`).subarray(0, 30)],
    ['nothing', Buffer.alloc(0)],
    ['a delimiter', Buffer.from('0001')],
    ['a signed push', list('push-cert\0report-status')],
    ['from nothing to nothing', list(`${ZERO} ${ZERO} refs/heads/x`)],
    ['upper case', list(`${A.toUpperCase()} ${B} refs/heads/x`)],
    ['ids of two formats', list(`${A} ${'b'.repeat(64)} refs/heads/x`)],
    ['ids of another format', list(`${A} ${B} refs/heads/x\0object-format=sha256`)],
    ['a ref with a space', list(`${A} ${B} refs/heads/x y`)],
    ['a ref with a control character', list(`${A} ${B} refs/heads/x\u0001`)],
    ['a ref on two lines', list(`${A} ${B} refs/heads/x\n${A} ${B} refs/heads/y`)],
    ['no ref', list(`${A} ${B} `)],
    ['a ref twice', list(`${A} ${B} refs/heads/x`, `${B} ${A} refs/heads/x`)],
    [
      'too many',
      list(...Array.from({ length: 2_001 }, (_, index) => `${ZERO} ${A} refs/heads/${index}`)),
    ],
  ])('refused: %s', async (_what, bytes) => {
    await expect(read(bytes)).rejects.toMatchObject({ reason: 'malformed', status: 400 });
  });
});

const RULES = { branches: ['drover/*', 'main'], tags: ['v*.0'], force: false, delete: false };

describe('what may be pushed', () => {
  test.each<[string, string | null, string | null, RegExp | undefined]>([
    ['refs/heads/main', A, B, undefined],
    ['refs/heads/drover/a/b', null, B, undefined],
    ['refs/heads/drover/', null, B, /no name of a branch/],
    ['refs/heads/mainly', A, B, /may not push branch mainly \(it may push drover\/\*, main\)/],
    ['refs/heads/feature', null, B, /may not push branch feature/],
    ['refs/heads/main', A, null, /may not delete/],
    ['refs/tags/v1.0', null, A, undefined],
    ['refs/tags/v1.1', null, A, /may not push tag v1.1/],
    ['refs/tags/v1.0', A, B, /may not move a tag/],
    ['refs/tags/main', null, B, /may not push tag main/],
    ['refs/for/main', null, B, /only branches and tags/],
    ['refs/notes/commits', A, B, /only branches and tags/],
    ['HEAD', A, B, /only branches and tags/],
    ['refs/heads/drover/../main', A, B, /no name/],
    ['refs/heads/drover/.x', A, B, /no name/],
    ['refs/heads/drover/x.lock', A, B, /no name/],
    ['refs/heads/drover//x', A, B, /no name/],
    ['refs/heads/drover/@{x', A, B, /no name/],
    ['refs/heads/drover/x*', A, B, /no name/],
  ])('%s from %s to %s → %s', (ref, from, to, expected) => {
    const why = whyRefused({ ref, from, to }, RULES);
    if (expected === undefined) expect(why).toBeUndefined();
    else expect(why).toMatch(expected);
  });

  test('nothing named → nothing', () => {
    const none = { branches: [], tags: [], force: true, delete: true };
    expect(whyRefused({ ref: 'refs/heads/a', from: null, to: A }, none)).toMatch(/push none/);
    expect(whyRefused({ ref: 'refs/tags/a', from: null, to: A }, none)).toMatch(/push no tags/);
  });

  test('force and delete, when they are allowed', () => {
    const rules = { ...RULES, force: true, delete: true };
    for (const [ref, from, to] of [
      ['refs/heads/main', A, null],
      ['refs/tags/v1.0', A, B],
    ] as const) {
      expect(whyRefused({ ref, from, to }, rules)).toBeUndefined();
    }
    const move = { ref: 'refs/heads/main', from: A, to: B };
    expect(movesToProve([move], RULES)).toEqual([move]);
    expect(movesToProve([move], rules)).toEqual([]);
  });

  test('what moves nothing needs no proof', () => {
    const commands = [
      { ref: 'refs/heads/a', from: null, to: B },
      { ref: 'refs/heads/b', from: A, to: null },
      { ref: 'refs/heads/c', from: A, to: A },
    ];
    expect(movesToProve(commands, RULES)).toEqual([]);
  });

  test.each([
    ['*', 'a/b', true],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b', 'ab', true],
    ['a*b*b', 'ab', false],
    ['*a', 'aab', false],
    ['a**b', 'axb', true],
    ['a.c', 'abc', false],
  ])('pattern %s and %s → %s', (pattern, name, expected) => {
    const rules = { ...RULES, branches: [pattern] };
    const why = whyRefused({ ref: `refs/heads/${name}`, from: null, to: A }, rules);
    expect(why === undefined).toBe(expected);
  });

  test('a pattern of many stars costs no time', () => {
    const rules = { ...RULES, branches: [`${'*a'.repeat(60)}*b`] };
    const started = performance.now();
    whyRefused({ ref: `refs/heads/${'a'.repeat(900)}`, from: null, to: A }, rules);
    expect(performance.now() - started).toBeLessThan(100);
  });
});

describe('the answer to a refused push', () => {
  const commands = [{ ref: 'refs/heads/x', from: null, to: A }];

  test('a client that wants no report → told otherwise', () => {
    expect(reportRefusedPush({ commands, shallow: [], capabilities: [] }, 'no', new Map())).toBe(
      undefined,
    );
  });

  test('words on many lines → one line', () => {
    const capabilities = ['report-status'];
    const why = new Map([['refs/heads/x', 'no\n0000\u0007way']]);
    const report = reportRefusedPush({ commands, shallow: [], capabilities }, 'no', why);
    expect(report?.toString()).toContain('ng refs/heads/x no 0000 way\n');
  });
});
