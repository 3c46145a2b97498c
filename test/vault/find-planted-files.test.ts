import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createCanaries } from './search/canaries.ts';
import { folderPlaces } from './search/folder-places.ts';
import { type Hit, searchPlaces } from './search/search-places.ts';

const canaries = createCanaries();
const secret = canaries.make('file');

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'drover-planted-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function write(path: string, content: string | Buffer): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}

function git(...args: string[]): string {
  const identity = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'gc.auto=0'];
  const command = [...identity, ...args];
  return execFileSync('git', command, { cwd: join(folder, 'repo'), encoding: 'utf8' }).trim();
}

function commit(content: string, message = 'a commit'): void {
  write('repo/file', content);
  git('add', '.');
  git('commit', '--quiet', '--message', message);
}

async function search(): Promise<Hit[]> {
  return searchPlaces(canaries, folderPlaces(folder, ''));
}

/** The places in which the search found the canary. */
async function found(): Promise<string[]> {
  return (await search()).filter(({ canary }) => canary === 'file').map(({ place }) => place);
}

test.each<[string, () => void, string]>([
  ['a file', () => write('a/b', secret), 'a/b'],
  ['the name of a file', () => write(`a/${secret.replaceAll('/', '_')}`, ''), 'name a/'],
  ['the name of a folder', () => write(`${secret.replaceAll('/', '_')}/a`, ''), 'name '],
  ['a link', () => symlinkSync(`/${secret}`, join(folder, 'link')), 'link link'],
  ['an archive', () => archive('plain.txt', secret), 'a.tar.gz'],
  ['a kept workspace', () => write('kept', zstdCompressSync(someWords(secret))), 'kept'],
])('finds what is planted in %s', async (_, plant, place) => {
  plant();
  expect(await found()).toContainEqual(expect.stringContaining(place));
});

test('finds nothing in files without it', async () => {
  write('a/b', 'nothing');
  mkdirSync(join(folder, 'repo'));
  git('init', '--quiet');
  commit('nothing');
  expect(await search()).toEqual([]);
});

test.each<[string, () => void]>([
  ['an object', () => commit(secret)],
  ['the message of a commit', () => commit('nothing', `with ${secret}`)],
  [
    'a commit that nothing names',
    () => {
      commit('nothing');
      commit(secret);
      git('reset', '--quiet', '--hard', 'HEAD~1');
      git('reflog', 'expire', '--expire=now', '--all');
    },
  ],
  [
    'a pack',
    () => {
      commit(secret);
      git('gc', '--quiet', '--prune=now');
    },
  ],
  [
    'a difference in a pack',
    () => {
      // Each is told by what it changes of the other; neither has the whole word.
      const lines = Array.from({ length: 200 }, (_, line) => `line ${line} ${Math.random()}`);
      const halves = [secret.slice(0, 8), secret.slice(8)];
      commit([...lines, halves[0], '\n', halves[1]].join('\n'));
      commit([...lines, secret].join('\n'));
      git('gc', '--quiet', '--aggressive', '--prune=now');
    },
  ],
])('finds what is planted in %s of a repository', async (_, plant) => {
  mkdirSync(join(folder, 'repo'));
  git('init', '--quiet');
  plant();
  rmSync(join(folder, 'repo/file'));
  git('rm', '--quiet', '--cached', 'file');
  rmSync(join(folder, 'repo/.git/COMMIT_EDITMSG'));
  expect(await found()).toContain('objects of repo/.git');
});

test('finds what is planted in a repository in an archive', async () => {
  mkdirSync(join(folder, 'repo'));
  git('init', '--quiet');
  commit(secret);
  archive('repo');
  rmSync(join(folder, 'repo'), { recursive: true });
  const hits = await search();
  const encoding = expect.stringMatching(/^compressed, compressed, /);
  expect(hits).toContainEqual(
    expect.objectContaining({ place: 'a.tar.gz', canary: 'file', encoding }),
  );
});

test('finds a value that the pages of a database cut in pieces', async () => {
  const database = new DatabaseSync(join(folder, 'a.db'));
  database.exec('create table t (value blob)');
  const insert = database.prepare('insert into t values (?)');
  // Some of them stand across the end of a page.
  for (let before = 3_500; before < 5_500; before += 8) {
    insert.run(Buffer.from('x'.repeat(before) + secret));
  }
  database.exec(`delete from t where instr(value, '${secret}') < 3900`);
  database.close();
  expect(await found()).toContain('values of a.db');
});

/** Enough around a word that compressing changes its own bytes too. */
function someWords(word: string): string {
  const others = Array.from({ length: 500 }, () => Math.random().toString(36));
  return [...others, word, ...others].join(' ');
}

/** An archive of a path in the folder, made with this content when there is one. */
function archive(path: string, content?: string): void {
  if (content !== undefined) write(path, content);
  execFileSync('tar', ['--create', '--gzip', '--file', 'a.tar.gz', '--exclude=a.tar.gz', path], {
    cwd: folder,
  });
}
