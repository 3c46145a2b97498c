import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { findHandFolder } from '../../activities/hands/local/hand-folder.ts';
import { MAX_PROCESSES } from '../../activities/hands/local/limits.ts';
import { birthOf, readRecord } from '../../activities/hands/local/supervisor-record.ts';
import { signal } from '../../hand/end-processes.ts';
import { EnvironmentDefinition } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  IS_ISOLATED,
  NEEDS,
  processesMentioning,
  type TestHand,
  useLocalHands,
} from './local-hands.ts';

// What a command can do to its own hand, and what the machine and the next hand see of it.

const MAY_GROUP = process.getuid?.() === 0 && mayWrite('/sys/fs/cgroup');

describe('a command that breaks the folders of its own hand', () => {
  const hands = useLocalHands({ silenceMs: 3_000 });

  test.each([
    { kind: 'links', replace: 'rm -rf $name && ln -s /usr $name' },
    { kind: 'dangling links', replace: 'rm -rf $name && ln -s /nowhere/at/all $name' },
    { kind: 'files', replace: 'rm -rf $name && echo x > $name' },
    { kind: 'pipes', replace: 'rm -rf $name && mkfifo $name' },
    { kind: 'locked folders', replace: 'chmod 000 $name' },
    { kind: 'nothing', replace: 'rm -rf $name' },
  ])('$kind in their place → the next hand has folders again', async ({ replace }) => {
    const hand = await hands().provision();
    const { sandbox, workspace } = findHandFolder(hands().stateFolder, hand.instance);
    await hand.bash(
      `cd ${sandbox}; for name in workspace home tmp output journal; do ${replace}; done; chmod 000 .`,
      { timeout_ms: 20_000 },
    );
    await hands().provider.release({ hand: hand.instance, keep_workspace: true });
    const next = await hands().provision({ generation: 2 });
    expect(await next.bash('echo works > file; cat file; pwd; touch ~/a "$TMPDIR/b"')).toEqual({
      text: `works\n${workspace}`,
      is_error: false,
    });
    expect(lstatSync(workspace).isDirectory()).toBe(true);
  });

  test('a link in place of the workspace → what it leads to is left alone', async () => {
    const hand = await hands().provision();
    const other = await hands().provision({ session: 'other' });
    await other.bash('echo theirs > file; chmod 755 .');
    const theirs = findHandFolder(hands().stateFolder, other.instance).workspace;
    await hand.bash(`cd ..; rm -rf workspace; ln -s ${theirs} workspace`);
    await hands().provider.release({ hand: hand.instance, keep_workspace: true });
    const next = await hands().provision({ generation: 2 });
    expect((await next.bash('ls')).text).toBe('');
    expect((await other.bash('cat file; stat -c %a .')).text).toBe('theirs\n755');
  });

  test('its daemon stopped for good → the call is lost, and the hand is made anew', async () => {
    const hand = await hands().provision();
    const lost = await hand.bash('kill -STOP $PPID; sleep 1000');
    expect(lost).toMatchObject({ is_error: true, lost: true });
    const stopped = await hands().provision({ session: 'stopped' });
    await stop(stopped);
    // The same generation: a retried attempt must not get the dead one for ever.
    const again = await hands().provision({ session: 'stopped' });
    expect(again.instance.instance).not.toBe(stopped.instance.instance);
    expect((await again.bash('echo works')).text).toBe('works');
  });
});

describe.skipIf(!IS_ISOLATED)(`the limits of a hand (${NEEDS})`, () => {
  const hands = useLocalHands();

  test('a fork bomb stays below its limit and ends with its call', async () => {
    const hand = await hands().provision();
    // A lower limit than a hand's own: a thousand processes are a burden to the machine.
    const limit = 120;
    for (const folder of pidGroupsOf(hand.instance.instance)) {
      writeFileSync(join(folder, 'pids.max'), String(limit));
    }
    let most = 0;
    const counting = setInterval(() => {
      most = Math.max(most, processesMentioning(hand.instance.instance).length);
    }, 100);
    const bomb = `ulimit -u ${limit}; bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 1000`;
    const result = await hand.bash(bomb, { timeout_ms: 3_000 });
    clearInterval(counting);
    expect(result).toMatchObject({ is_error: true });
    expect(most).toBeGreaterThan(limit / 3);
    // Its supervisor and what holds the sandbox are outside the limit.
    expect(most).toBeLessThan(limit + 10);
    expect((await hand.bash('echo works')).text).toContain('works');
  });

  test('no core files, no file of any size', async () => {
    const hand = await hands().provision();
    expect((await hand.bash('ulimit -c; ulimit -f; ulimit -u')).text).toBe(
      `0\n${16 * 1024 * 1024}\n${MAX_PROCESSES}`,
    );
  });

  test.skipIf(!MAY_GROUP)('its control group bounds it, and goes with it', async () => {
    const hand = await hands().provision();
    const { instance } = hand.instance;
    expect((await hand.bash('cat /proc/self/cgroup')).text).toContain(`/drover/${instance}`);
    const limits = pidGroupsOf(instance).map((folder) =>
      readFileSync(join(folder, 'pids.max'), 'utf8').trim(),
    );
    expect(limits).toEqual([String(MAX_PROCESSES)]);
    await hands().provider.release({ hand: hand.instance, keep_workspace: true });
    expect(groupsOf(instance)).toEqual([]);
  });
});

describe('provision that nobody waits for any more', () => {
  const hands = useLocalHands();
  const input = {
    hand: { session_id: 'session', chain_id: 'chain', name: 'main', generation: 1 },
    environment: { id: null, version: null, definition: EnvironmentDefinition.parse({}) },
    resources: [],
  };

  test.each([{ afterMs: 0 }, { afterMs: 50 }, { afterMs: 400 }])(
    'given up after $afterMs ms → ended, and nothing is left',
    async ({ afterMs }) => {
      const abandoned = new AbortController();
      const { stateFolder, provider } = hands();
      const provisioned = provider.provision(input, {
        onWaiting: () => {},
        abandoned: abandoned.signal,
      });
      const outcome = expect(provisioned).rejects.toMatchObject({
        type: FAILURE.sandboxUnavailable,
        message: expect.stringContaining('nobody waits for it'),
      });
      await delay(afterMs);
      abandoned.abort();
      await outcome;
      expect(processesMentioning(stateFolder)).toEqual([]);
    },
  );

  test('given up by a worker that stops → the hand stays for the next attempt', async () => {
    const hand = await hands().provision();
    await stop(hand);
    const stopping = hands().another();
    const outcome = expect(stopping.provision(input)).rejects.toMatchObject({
      message: expect.stringContaining('stopping'),
    });
    await delay(300);
    stopping.close();
    await outcome;
    expect(isStopped(hand.instance.instance)).toBe(true);
  });
});

describe('release of a hand whose supervisor is killed', () => {
  const hands = useLocalHands();

  test.each([{ afterMs: undefined }, { afterMs: 0 }, { afterMs: 3 }, { afterMs: 15 }])(
    'before it, or $afterMs ms into it → nothing is left',
    async ({ afterMs }) => {
      const { provider, stateFolder } = hands();
      const hand = await hands().provision();
      await hand.bash('setsid sleep 1000 & sleep 1000 &');
      const { root } = findHandFolder(stateFolder, hand.instance);
      const pid = readRecord(root)?.pid ?? 0;
      if (afterMs === undefined) {
        signal(pid, 'SIGKILL');
        await waitFor('its death', () => birthOf(pid) === undefined);
      }
      const releasing = provider.release({ hand: hand.instance, keep_workspace: false });
      await delay(afterMs ?? 0);
      signal(pid, 'SIGKILL');
      await releasing;
      expect(processesMentioning(hand.instance.instance)).toEqual([]);
      expect(existsSync(root)).toBe(false);
    },
  );
});

/** Stops the daemon as a command can, and leaves no call open. */
async function stop(hand: TestHand): Promise<void> {
  await hand.bash('(sleep 0.3; kill -STOP $PPID) & disown');
  await waitFor('the daemon to be stopped', () => isStopped(hand.instance.instance));
}

function isStopped(instance: string): boolean {
  return processesMentioning(instance).some((pid) =>
    /^State:\tT/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')),
  );
}

function groupsOf(instance: string): string[] {
  const { stdout } = spawnSync('find', ['/sys/fs/cgroup', '-name', instance], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line !== '');
}

function pidGroupsOf(instance: string): string[] {
  return groupsOf(instance).filter((folder) => existsSync(join(folder, 'pids.max')));
}

function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
