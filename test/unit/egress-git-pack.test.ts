import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ancestryOf, commitId, parentsNamedIn } from '../../egress/git-commit-graph.ts';
import { PackCommits } from '../../egress/git-pack-commits.ts';
import { gitEnvironment, runGit } from '../support/git-server.ts';

let folder: string;
let pack: Buffer;
let history: readonly (readonly string[])[];

const git = (...words: readonly string[]): string => runGit(folder, ...words);

/** A history of merges whose commits resemble each other, so that git tells some by others. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'drover-pack-'));
  git('init', '--quiet', '--initial-branch=main');
  const words = randomBytes(1_500).toString('base64');
  for (let index = 0; index < 30; index += 1) {
    if (index % 10 === 5) git('checkout', '--quiet', '-b', `side-${index}`);
    writeFileSync(join(folder, `file-${index}`), `${index}\n`);
    git('add', '.');
    git('commit', '--quiet', '--message', `${words}\n\nnumber ${index}`);
    if (index % 10 !== 8) continue;
    git('checkout', '--quiet', 'main');
    git('merge', '--quiet', '--no-ff', '--no-edit', `side-${index - 3}`);
  }
  writeFileSync(join(folder, 'large'), randomBytes(400_000));
  writeFileSync(join(folder, 'zeros'), Buffer.alloc(300_000));
  git('add', '.');
  git('commit', '--quiet', '--message', 'large files');
  pack = packOf('--revs', '--delta-base-offset', '--window=50', '--depth=50');
  history = git('rev-list', '--all', '--parents')
    .split('\n')
    .map((line) => line.split(' '));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function packOf(...words: readonly string[]): Buffer {
  return execFileSync('git', ['pack-objects', '--stdout', '--quiet', '--all', ...words], {
    cwd: folder,
    env: gitEnvironment(),
    input: '',
    maxBuffer: 1e9,
  });
}

async function readInPieces(bytes: Buffer, size: number): Promise<PackCommits> {
  const commits = new PackCommits('sha1');
  const passed: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    passed.push(await commits.write(bytes.subarray(at, at + size)));
    // Its end stays until it is asked for.
    expect(Buffer.concat(passed).length).toBeLessThanOrEqual(bytes.length - 20);
  }
  passed.push(await commits.end());
  expect(Buffer.concat(passed).equals(bytes)).toBe(true);
  return commits;
}

describe('the commits of a pack', () => {
  test('some are told by others in it', () => {
    const path = join(folder, 'shown');
    writeFileSync(`${path}.pack`, pack);
    git('index-pack', `${path}.pack`);
    const lines = git('verify-pack', '-v', `${path}.pack`).split('\n');
    expect(
      lines.filter((line) => /^\w+ commit +\d+ \d+ \d+ \d+ \w+/.test(line)).length,
    ).toBeGreaterThan(3);
  });

  test.each([997, 64 * 1024, 10_000_000])('in pieces of %i bytes → as git tells', async (size) => {
    const commits = await readInPieces(pack, size);
    for (const [id = '', ...parents] of history) expect(commits.parentsOf(id)).toEqual(parents);
  });

  test('told by id, not by place → the same', async () => {
    const commits = await readInPieces(packOf('--revs', '--window=50'), 4_096);
    for (const [id = '', ...parents] of history) expect(commits.parentsOf(id)).toEqual(parents);
  });

  test('byte by byte → the same', async () => {
    const few = packOf('--revs', '--window=50').subarray(0, 20_000);
    const commits = new PackCommits('sha1');
    for (const byte of few) await commits.write(Buffer.from([byte]));
    const [id = '', ...parents] = history[0] ?? [];
    expect(commits.parentsOf(id)).toEqual(parents);
  });

  test('no object → nothing but its end', async () => {
    const empty = Buffer.concat([
      Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1'),
      Buffer.alloc(20),
    ]);
    const commits = await readInPieces(empty, 1);
    expect(commits.parentsOf(history[0]?.[0] ?? '')).toBeUndefined();
  });

  test.each<[string, () => Buffer]>([
    ['cut off', () => pack.subarray(0, -1)],
    ['cut off in an object', () => pack.subarray(0, 5_000)],
    ['longer than it says', () => Buffer.concat([pack, Buffer.alloc(1)])],
    ['no pack', () => Buffer.from('something else entirely')],
    ['of version 3', () => Buffer.concat([Buffer.from('PACK\0\0\0\x03'), pack.subarray(8)])],
    [
      'with an object spoilt',
      () => Buffer.concat([pack.subarray(0, 14), Buffer.alloc(5_000, 255)]),
    ],
    ['nothing', () => Buffer.alloc(0)],
    [
      'an object of a size without end',
      () => Buffer.concat([pack.subarray(0, 12), Buffer.alloc(40, 0xff)]),
    ],
  ])('unreadable: %s', async (_what, bytes) => {
    await expect(readInPieces(bytes(), 1_000)).rejects.toThrow(
      expect.objectContaining({ name: 'PackUnreadableError' }),
    );
  });
});

describe('ancestry', () => {
  const graph = (commits: Readonly<Record<string, readonly string[]>>) => ({
    parentsOf: (id: string) => commits[id],
  });

  test.each<[string, Readonly<Record<string, readonly string[]>>, object]>([
    ['along one line', { c: ['b'], b: ['a'] }, { type: 'proven' }],
    ['by a merge', { c: ['x', 'b'], x: ['y'], b: ['a'] }, { type: 'proven' }],
    ['not at all', { c: ['b'], b: [] }, { type: 'disproven' }],
    ['not to be known', { c: ['b', 'x'] }, { type: 'unknown', missing: ['x', 'b'] }],
    ['in circles', { c: ['b'], b: ['c'] }, { type: 'disproven' }],
  ])('%s', (_name, commits, expected) => {
    expect(ancestryOf({ from: 'a', to: 'c' }, [graph(commits)])).toEqual(expected);
  });

  test('with what two say', () => {
    const move = { from: 'a', to: 'c' };
    expect(ancestryOf(move, [graph({ c: ['b'] }), graph({ b: ['a'] })])).toEqual({
      type: 'proven',
    });
  });

  test('a parent named in the message of a commit is none', () => {
    const parent = 'b'.repeat(40);
    const content = `tree ${'a'.repeat(40)}\nauthor x\n\nparent ${parent}\n`;
    expect(parentsNamedIn(Buffer.from(content))).toEqual([]);
    expect(parentsNamedIn(Buffer.from(`${content.slice(0, 46)}parent ${parent}\n`))).toEqual([
      parent,
    ]);
  });

  test('the id of a commit is that of git', () => {
    const id = git('rev-parse', 'HEAD');
    const content = execFileSync('git', ['cat-file', 'commit', id], { cwd: folder });
    expect(commitId(content, 'sha1')).toBe(id);
  });
});
