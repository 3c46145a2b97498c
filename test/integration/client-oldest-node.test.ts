import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { fromConversation, says } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { makeVaultFolder } from '../support/vault-folder.ts';

// The package takes Node 20. Where a test runs there is Node 24, so what came after 20 is taken away.

const REMOVE_WHAT_IS_NEWER = `
  delete Promise.withResolvers; delete Promise.try; delete URL.parse; delete Array.fromAsync;
  delete Object.groupBy; delete Map.groupBy; delete globalThis.AsyncDisposableStack;
  delete globalThis.Iterator; delete RegExp.escape; delete Set.prototype.union;`;

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness({ player: fromConversation(() => says('heard')) });
});
afterAll(() => harness.stop());

test('a program on Node 20 starts a session, follows it and sends to it', async () => {
  const client = new URL('../../client/index.ts', import.meta.url).href;
  const program = `
    const { connectDrover } = await import(${JSON.stringify(client)});
    const drover = await connectDrover(${JSON.stringify({
      address: inject('temporalAddress'),
      taskQueue: harness.taskQueue,
    })});
    const { id } = await drover.sessions.create({ initial_events: ['hello'] });
    for await (const { type } of drover.sessions.tail(id)) {
      console.log(type);
      if (type === 'session.status_idle') break;
    }
    const { event_ids } = await drover.sessions.send(id, 'more');
    const idle = await drover.sessions.waitUntilIdle(id, { after: event_ids[0] });
    console.log(idle.stop_reason.type, (await drover.sessions.list({ limit: 1 })).length);
    await drover.sessions.archive(id);
    await drover.close();`;
  const preload = `data:text/javascript,${encodeURIComponent(REMOVE_WHAT_IS_NEWER)}`;
  const args = ['--import', preload, '--input-type=module', '-e', program];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout.split('\n')).toEqual(expect.arrayContaining(['agent.message', 'end_turn 1']));
});

test('the commands for vaults and credentials run on Node 20', async () => {
  const folder = await makeVaultFolder();
  const main = new URL('../../client/command-line/main.ts', import.meta.url).pathname;
  const preload = `data:text/javascript,${encodeURIComponent(REMOVE_WHAT_IS_NEWER)}`;
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['--import', preload, main, ...args], {
      env: { ...process.env, ...folder.variables },
    });
  await run('vaults', 'create', 'team');
  const value = join(folder.path, '..', 'value');
  await writeFile(value, 'a-token');
  const auth = '{"type":"git","url":"https://git.example/"}';
  await run('credentials', 'create', 'team', 'git', auth, '--value-file', value);
  expect((await run('credentials', 'list', 'team')).stdout).toContain('https://git.example/');
  await folder.remove();
});
