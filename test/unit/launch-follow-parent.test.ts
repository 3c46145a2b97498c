import { type ChildProcess, spawn } from 'node:child_process';
import { expect, test } from 'vitest';

const FOLLOW_PARENT = new URL('../../launch/follow-parent.ts', import.meta.url).href;

function follower(script: string): { child: ChildProcess; ended: Promise<unknown> } {
  const child = spawn(process.execPath, ['--import', FOLLOW_PARENT, '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => {
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
  return { child, ended };
}

const BUSY = 'setInterval(() => {}, 1000);';

test('a process whose parent goes ends', async () => {
  const { child, ended } = follower(`${BUSY} console.log('up')`);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  child.stdin?.end();
  expect(await ended).toBe('SIGTERM');
});

test('a thread, which has no such input, ends nothing', async () => {
  const { child, ended } = follower(
    `${BUSY} new (require('node:worker_threads').Worker)(
      new URL('data:text/javascript,setTimeout(() => {}, 300)'))
      .once('exit', () => process.exit(7))`,
  );
  expect(await ended).toBe(7);
  child.stdin?.end();
});

test('a process that is done is not kept alive', async () => {
  const { child, ended } = follower('process.exitCode = 3');
  expect(await ended).toBe(3);
  child.stdin?.end();
});
