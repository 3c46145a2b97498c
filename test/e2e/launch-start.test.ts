import { readdirSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAlive } from '../../launch/end-process.ts';
import { freePort } from '../../launch/free-port.ts';
import { type Launcher, serverOf, startLauncher, workersOf } from '../support/launcher.ts';
import { processesNaming } from '../support/processes-naming.ts';
import { giveBundle, giveCompiled } from '../support/used-state.ts';
import { waitFor } from '../support/wait-for.ts';

let state: string;
const launchers: Launcher[] = [];

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'drover-e2e-'));
  // As if an earlier start had used these: the standard ports may be busy with other tests.
  await recordPorts({ port: await freePort(0), uiPort: await freePort(0) });
});

afterEach(async () => {
  for (const { child, exited } of launchers.splice(0)) {
    child.kill('SIGTERM');
    await exited;
  }
  const { pid } = await serverOf(state);
  if (pid !== NO_PID && isAlive(pid)) process.kill(pid, 'SIGKILL');
  await rm(state, { recursive: true, force: true });
});

/** Above every system's limit. */
const NO_PID = 2 ** 30;

function recordPorts(ports: { readonly port: number; readonly uiPort: number }): Promise<void> {
  return writeFile(join(state, 'temporal.json'), JSON.stringify({ pid: NO_PID, ...ports }));
}

function launch(args: readonly string[], variables: Readonly<Record<string, string>> = {}) {
  const launcher = startLauncher(args, { DROVER_STATE_FOLDER: state, ...variables });
  launchers.push(launcher);
  return launcher;
}

/** As if there had been a start before: a first one makes workflow code for seconds. */
async function wasUsedBefore(folder = state): Promise<void> {
  giveCompiled(folder);
  await giveBundle(folder);
}

function listenOn(port: number): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

describe('npm start', () => {
  test('runs the built-in task to a proven fix, and leaves nothing running', async () => {
    const launcher = launch(['--once']);
    expect(await launcher.exited, launcher.output()).toBe(0);
    const output = launcher.output();
    expect(output).toContain('REHEARSAL');
    expect(output).toMatch(
      /ℹ fail 1[\s\S]*edit: src\/parse\.js[\s\S]*ℹ fail 0[\s\S]*idle: end_turn/,
    );
    expect(output).toMatch(/http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/session-/);
    expect(output).toMatch(/npx drover send session-.* --address 127\.0\.0\.1:\d+/);
    // Plain when piped.
    expect(output.includes('\u001b')).toBe(false);
    expect(isAlive((await serverOf(state)).pid)).toBe(false);
    expect((await workersOf(state)).some(isAlive)).toBe(false);
    expect(processesNaming(state)).toEqual([]);
  });

  test('goes on when worker and server are killed in mid-session', async () => {
    await giveBundle(state);
    const launcher = launch(['--once']);
    await launcher.until(/agent: Let me look around/);
    const [worker = 0] = await workersOf(state);
    process.kill(worker, 'SIGKILL');
    // What it compiled is there for the next one: far more than a hand does.
    expect(readdirSync(join(state, 'cache'), { recursive: true }).length).toBeGreaterThan(1_000);
    await launcher.until(/the worker ended \(SIGKILL\)/);
    process.kill((await serverOf(state)).pid, 'SIGKILL');
    expect(await launcher.exited, launcher.output()).toBe(0);
    expect(launcher.output()).toContain('the Temporal server runs again');
    expect(launcher.output().match(/^agent: Green\. I commit the fix\.$/gm)).toHaveLength(1);
  });

  test('a taken port → another one, saying so; a second start joins the first', async () => {
    await wasUsedBefore();
    const { port, uiPort } = await serverOf(state);
    const busy = await listenOn(port);
    const first = launch(['note this']);
    await first.until(new RegExp(`port ${port} is taken by another program; .* API is on \\d+`));
    await first.until(/idle: end_turn/);
    const second = launch(['--once', 'note that'], { ANTHROPIC_API_KEY: 'key' });
    expect(await second.exited, second.output()).toBe(0);
    expect(second.output()).toContain(`those of process ${first.child.pid}`);
    expect(second.output()).toMatch(/its model is a REHEARSAL: end it and start again/);
    const server = await serverOf(state);
    expect(server.port).not.toBe(port);
    expect(server.uiPort).toBe(uiPort);
    expect(await workersOf(state)).toHaveLength(1);
    first.child.kill('SIGINT');
    expect(await first.exited).toBe(0);
    expect(first.output()).toContain('sessions are kept');
    expect(isAlive(server.pid)).toBe(false);
    await new Promise((resolve) => busy.close(resolve));
  });

  test('a start after a killed one adopts its server, and its session goes on', async () => {
    await wasUsedBefore();
    const first = launch(['--once']);
    const session = (await first.until(/session (session-\S+)/))[1];
    await first.until(/agent: Let me look around/);
    first.child.kill('SIGKILL');
    await first.exited;
    const { pid } = await serverOf(state);
    // The worker follows the launcher; the server waits for the next one.
    await waitFor('the worker to end', async () => !(await workersOf(state)).some(isAlive));
    expect(isAlive(pid)).toBe(true);

    const second = launch(['--once']);
    expect(await second.exited, second.output()).toBe(0);
    expect(second.output()).toContain('running already');
    expect(second.output()).toContain(`an earlier session goes on: ${session}`);
    expect(isAlive(pid)).toBe(false);
  });
});

describe('npm start that cannot', () => {
  test('an unreachable server → named, with the remedy, within seconds', async () => {
    const startedMs = Date.now();
    const launcher = launch([], { TEMPORAL_ADDRESS: '127.0.0.1:1' });
    expect(await launcher.exited).toBe(1);
    expect(launcher.output()).toMatch(
      /no Temporal server answers at 127\.0\.0\.1:1.*TEMPORAL_ADDRESS/,
    );
    expect(Date.now() - startedMs).toBeLessThan(15_000);
  });

  test('an unknown option → exit 2', async () => {
    const launcher = launch(['--twice']);
    expect(await launcher.exited).toBe(2);
    expect(launcher.output()).toMatch(/^drover: .*--twice/);
  });

  /** Programs of this machine, but one that makes no sandbox. */
  async function pathWithoutIsolation(script = 'echo "no permissions" >&2'): Promise<string> {
    const folder = join(state, 'bin');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'bwrap'), `#!/bin/sh\n${script}\nexit 1\n`);
    await chmod(join(folder, 'bwrap'), 0o755);
    return `${folder}:${process.env['PATH']}`;
  }

  test.skipIf(process.platform !== 'linux')(
    'no isolation and a real model → refused, naming what to install',
    async () => {
      const launcher = launch([], { PATH: await pathWithoutIsolation(), ANTHROPIC_API_KEY: 'key' });
      expect(await launcher.exited).toBe(1);
      expect(launcher.output()).toMatch(/bubblewrap.*no permissions.*DROVER_SANDBOX=unconfined/);
    },
  );

  test.skipIf(process.platform !== 'linux')(
    'Ctrl-C while it looks for isolation → it ends, and starts nothing without',
    async () => {
      // As a terminal does it: the launcher is interrupted, and so is what it runs.
      const launcher = launch(['--once'], { PATH: await pathWithoutIsolation('kill -INT $PPID') });
      expect(await launcher.exited, launcher.output()).toBe(130);
      expect(launcher.output()).not.toMatch(/sandbox:|server:/);
    },
  );

  test.skipIf(process.platform !== 'linux')(
    'no isolation and a rehearsal → it runs without, saying so, apart from other sessions',
    async () => {
      await wasUsedBefore(join(state, 'rehearsal'));
      const launcher = launch(['--once', 'note this'], { PATH: await pathWithoutIsolation() });
      await launcher.until(/kept in .*\/rehearsal/);
      expect(await launcher.exited, launcher.output()).toBe(0);
      expect(launcher.output()).toContain('sandbox: NONE');
      expect(launcher.output()).toContain('NOTES.md');
    },
  );
});
