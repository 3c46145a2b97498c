import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCloneTool } from '../../hand/clone-repository.ts';
import { runProgram } from '../../hand/run-program.ts';
import { gitEnvironment, runGit } from '../support/git-server.ts';

let folder: string;
let url: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'drover-clone-'));
  url = join(folder, 'source');
  runGit(folder, 'init', '--quiet', '--initial-branch=main', url);
  writeFileSync(join(url, 'file.txt'), 'first\n');
  runGit(url, 'add', '.');
  runGit(url, 'commit', '--quiet', '--message', 'first');
});
afterAll(() => rmSync(folder, { recursive: true }));

const tool = () =>
  createCloneTool({
    variables: gitEnvironment(),
    folder,
    run: runProgram,
    wordsOfPath: (path) => `${path} cannot be written`,
  });

function clone(path: string, change: object = {}) {
  const call = {
    id: 'call',
    signal: new AbortController().signal,
    onStart: () => {},
    onProgress: () => {},
  };
  return tool().run({ url, path, branch: null, commit: null, ...change }, call);
}

test('→ at its place, and nothing beside it', async () => {
  const path = join(folder, 'a', 'one');
  expect(await clone(path)).toEqual({ text: `cloned ${url} into ${path}`, is_error: false });
  expect(readFileSync(join(path, 'file.txt'), 'utf8')).toBe('first\n');
  expect(readdirSync(join(folder, 'a'))).toEqual(['one']);
});

test('there already → left alone', async () => {
  const path = join(folder, 'b');
  await clone(path);
  writeFileSync(join(path, 'file.txt'), 'mine\n');
  expect(await clone(path)).toMatchObject({ is_error: false, text: `${path} is there already` });
  expect(readFileSync(join(path, 'file.txt'), 'utf8')).toBe('mine\n');
});

test('one that a kill left in parts → cloned anew', async () => {
  const path = join(folder, 'c');
  mkdirSync(join(folder, '.c.cloning', '.git'), { recursive: true });
  expect(await clone(path)).toMatchObject({ is_error: false });
  expect(runGit(path, 'status', '--short')).toBe('');
});

test('that fails → what git says, under the address that its session knows, and nothing left', async () => {
  const path = join(folder, 'd', 'none');
  const known_as = 'https://example.com/none.git';
  const { text, is_error } = await clone(path, { url: join(folder, 'none'), known_as });
  expect(is_error).toBe(true);
  expect(text).toMatch(
    /^Repository https:\/\/example.com\/none.git could not be cloned: .*does not exist/s,
  );
  expect(readdirSync(join(folder, 'd'))).toEqual([]);
});

test('a place with something else in it, or that cannot be made → in words, naming it', async () => {
  const full = join(folder, 'full');
  mkdirSync(full);
  writeFileSync(join(full, 'x'), '');
  expect((await clone(full)).text).toContain(`${full} is not empty; choose another mount_path`);
  const within = join(full, 'x', 'y');
  expect((await clone(within)).text).toContain(`could not be cloned: ${within} cannot be written`);
  expect(existsSync(within)).toBe(false);
  expect((await clone('/proc/none')).text).toContain('/proc/none cannot be written');
});
