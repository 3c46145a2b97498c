import { createHash, randomBytes } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { commitId } from '../../egress/git-commit-graph.ts';
import { NotForwardError, provenPack } from '../../egress/git-fast-forward.ts';
import type { GitServer } from '../../egress/git-server.ts';
import { Refusal } from '../../egress/refusal.ts';

const KINDS = { commit: 1, blob: 3 } as const;
const PIECE_BYTES = 64;
const END_BYTES = 20;

interface PackObject {
  readonly kind: keyof typeof KINDS;
  readonly content: Buffer;
}

const first = commit([]);
const second = commit([idOf(first)]);
const third = commit([idOf(second)]);
const aside = commit(['e'.repeat(40)]);
const blobs = Array.from(
  { length: 20 },
  (): PackObject => ({ kind: 'blob', content: randomBytes(500) }),
);
const FORWARD = { ref: 'refs/heads/main', from: idOf(first), to: idOf(third) };

function commit(parents: readonly string[]): PackObject {
  const lines = [`tree ${'a'.repeat(40)}`, ...parents.map((id) => `parent ${id}`), 'author x', ''];
  return { kind: 'commit', content: Buffer.from(lines.join('\n')) };
}

function idOf({ content }: PackObject): string {
  return commitId(content, 'sha1');
}

function packOf(objects: readonly PackObject[]): Buffer {
  const head = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  head.writeUInt32BE(objects.length, 8);
  const entries = objects.map(({ kind, content: { length }, content }) => {
    const size = [(KINDS[kind] << 4) | (length & 15) | 0x80, (length >> 4) & 127];
    return Buffer.concat([Buffer.from(size), deflateSync(content)]);
  });
  const body = Buffer.concat([head, ...entries]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

/** A server that tells nothing, and how often it was asked. */
function silentServer() {
  let asked = 0;
  const server: GitServer = {
    ask: async () => {
      asked += 1;
      throw new Refusal({ status: 502, reason: 'upstream', words: 'it says nothing' });
    },
  };
  return { server, asked: () => asked };
}

async function pass(pack: Buffer, { server }: { readonly server: GitServer }, move = FORWARD) {
  async function* pieces() {
    for (let at = 0; at < pack.length; at += PIECE_BYTES) {
      yield pack.subarray(at, at + PIECE_BYTES);
    }
  }
  const passed: Buffer[] = [];
  let error: unknown;
  try {
    for await (const bytes of provenPack(pieces(), [move], server)) passed.push(bytes);
  } catch (thrown) {
    error = thrown;
  }
  return { passed: Buffer.concat(passed), error };
}

describe('a pack that must prove that a branch moves forward', () => {
  test.each([
    { name: 'commits first, as git sends them', objects: [third, second, ...blobs], asked: 0 },
    { name: 'commits last', objects: [...blobs, second, third], asked: 1 },
    { name: 'commits between others', objects: [third, ...blobs, second], asked: 1 },
  ])('$name → all of it passes', async ({ objects, asked }) => {
    const pack = packOf(objects);
    const world = silentServer();
    const { passed, error } = await pass(pack, world);
    expect(error).toBeUndefined();
    expect(passed.equals(pack)).toBe(true);
    expect(world.asked()).toBe(asked);
  });

  test('what follows the commits that prove it goes unread', async () => {
    const pack = packOf([third, second, ...blobs]);
    pack.fill(0xff, pack.length - 300, pack.length - 200);
    const { passed, error } = await pass(pack, silentServer());
    expect(error).toBeUndefined();
    expect(passed.equals(pack)).toBe(true);
  });

  test.each([
    { name: 'commits first', objects: [aside, ...blobs], asked: 1 },
    { name: 'commits last, so that another is missing then', objects: [...blobs, aside], asked: 2 },
    { name: 'one of them missing', objects: [third, ...blobs], asked: 1 },
  ])('not forward, $name → its end is held back', async ({ objects, asked }) => {
    const pack = packOf(objects);
    const world = silentServer();
    const to = objects.find(({ kind }) => kind === 'commit') ?? third;
    const { passed, error } = await pass(pack, world, { ...FORWARD, to: idOf(to) });
    expect(error).toBeInstanceOf(NotForwardError);
    expect(passed.length).toBeLessThanOrEqual(pack.length - END_BYTES);
    expect(world.asked()).toBe(asked);
  });

  test('spoilt before it is proven → its end is held back', async () => {
    const pack = packOf([...blobs, third, second]);
    pack.fill(0xff, 100, 200);
    const { passed, error } = await pass(pack, silentServer());
    expect(error).toBeInstanceOf(NotForwardError);
    expect(passed.length).toBeLessThanOrEqual(pack.length - END_BYTES);
  });
});
