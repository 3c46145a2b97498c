import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStateFolder } from '../../launch/state-folder.ts';
import { makeFolder } from '../../store/make-folder.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drover-folder-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('makes what is missing, also for several at once; leaves what is there', async () => {
  const path = join(folder, 'a', 'b', 'c');
  await Promise.all([1, 2, 3, 4].map(() => makeFolder(path, 0o700)));
  expect((await stat(path)).isDirectory()).toBe(true);
  await makeFolder(path);
  expect((await stat(path)).mode & 0o777).toBe(0o700);
});

test('a file in the way → an error that names it', async () => {
  await writeFile(join(folder, 'file'), '');
  await expect(makeFolder(join(folder, 'file'))).rejects.toThrow(/EEXIST.*file/);
  await expect(makeFolder(join(folder, 'file', 'x'))).rejects.toThrow(/ENOTDIR|EEXIST/);
});

test.skipIf(process.platform !== 'linux')(
  'a folder that cannot be → an error with the remedy, at once',
  async () => {
    for (const path of ['/proc/drover', '/proc/drover/state']) {
      await expect(openStateFolder(path)).rejects.toThrow(
        /the state folder cannot be used \(ENOENT.*set DROVER_STATE_FOLDER to a folder of yours/,
      );
    }
  },
);

test.skipIf(process.platform !== 'linux')(
  'npm start in such a folder → ends with these words',
  () => {
    const main = fileURLToPath(new URL('../../launch/main.ts', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [main, '--once'], {
      env: {
        ...process.env,
        DROVER_STATE_FOLDER: '/proc/drover',
        DROVER_SANDBOX: 'unconfined',
        ANTHROPIC_API_KEY: 'key',
      },
      timeout: 60_000,
      encoding: 'utf8',
    });
    expect(stderr).toMatch(/^drover: the state folder cannot be used/);
    expect(status).toBe(1);
  },
  70_000,
);
