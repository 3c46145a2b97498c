import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../launch/free-port.ts';
import {
  askLauncher,
  claimLauncher,
  type LauncherInfo,
  removeAbandoned,
} from '../../launch/launcher-claim.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drover-claim-'));
  path = join(folder, 'launcher.sock');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function info(pid: number): LauncherInfo {
  const address = '127.0.0.1:1';
  return {
    ...{ pid, address, namespace: 'default', uiUrl: null },
    ...{ external: false, rehearsal: true, payloadKeys: null },
  };
}

test('the first holds it, the second learns who', async () => {
  const first = await claimLauncher(path, () => info(1));
  const second = await claimLauncher(path, () => info(2));
  expect(first.first).toBe(true);
  expect(second).toEqual({ first: false, info: info(1) });
  if (first.first) await first.release();
  const third = await claimLauncher(path, () => info(3));
  expect(third.first).toBe(true);
  if (third.first) await third.release();
});

test('a holder that was killed does not hold it any more', async () => {
  const holder = spawn(
    process.execPath,
    ['-e', `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log(1))`],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const gone = new Promise((resolve) => holder.once('exit', resolve));
  holder.kill('SIGKILL');
  await gone;
  const claims = await Promise.all([1, 2, 3].map((pid) => claimLauncher(path, () => info(pid))));
  expect(claims.filter(({ first }) => first)).toHaveLength(1);
  expect(await askLauncher(path)).toBeDefined();
  for (const claim of claims) if (claim.first) await claim.release();
});

test('a socket that is held is not removed as abandoned', async () => {
  const claim = await claimLauncher(path, () => info(1));
  await removeAbandoned(path);
  expect(await askLauncher(path)).toEqual(info(1));
  if (claim.first) await claim.release();
});

test('a port that is taken → another one', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const taken = typeof address === 'object' && address !== null ? address.port : 0;
  const other = await freePort(taken);
  expect(other).not.toBe(taken);
  await new Promise((resolve) => server.close(resolve));
  expect(await freePort(taken)).toBe(taken);
});
