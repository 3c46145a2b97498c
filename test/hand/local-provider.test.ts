import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { findHandFolder } from '../../activities/hands/local/hand-folder.ts';
import { createLocalProvider } from '../../activities/hands/local/local-provider.ts';
import { releaseAll } from '../../activities/hands/local/release-all.ts';
import { readRecord } from '../../activities/hands/local/supervisor-record.ts';
import { EnvironmentDefinition } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  expectNoProcesses,
  IS_ISOLATED,
  processesMentioning,
  type TestHand,
  toTestHand,
  useLocalHands,
} from './local-hands.ts';

const ISOLATION = IS_ISOLATED ? 'required' : 'unconfined';
const hands = useLocalHands();

function folderOf({ instance }: TestHand) {
  return findHandFolder(hands().stateFolder, instance);
}

describe('provision', () => {
  test('many at once, by several workers → one hand', async () => {
    const providers = [hands().provider, hands().another(), hands().another()];
    const hand = { session_id: 's', chain_id: 'chain', name: 'main', generation: 1 };
    const environment = { id: null, version: null, definition: EnvironmentDefinition.parse({}) };
    const provisioned = await Promise.all(
      [...providers, ...providers].map((provider) =>
        provider.provision({ hand, environment, resources: [] }),
      ),
    );
    expect(new Set(provisioned.map(({ instance }) => instance)).size).toBe(1);
    await waitFor(
      'the others to leave',
      () =>
        processesMentioning('supervisor-main').filter((pid) =>
          cmdline(pid).includes(hands().stateFolder),
        ).length === 1,
    );
    const used = toTestHand(hands().provider, {
      ...hand,
      provider: 'local',
      instance: provisioned[0]?.instance ?? '',
    });
    expect((await used.bash('echo one')).text).toBe('one');
  });

  test('again, same generation → the same instance', async () => {
    const first = await hands().provision();
    const again = await hands().provision();
    expect(again.instance).toEqual(first.instance);
  });

  test('another name or session → a hand of its own', async () => {
    const [main, second, foreign] = await Promise.all([
      hands().provision(),
      hands().provision({ name: 'second' }),
      hands().provision({ session: 'another' }),
    ]);
    await main.bash('echo mine > file');
    expect(await second.bash('ls')).toEqual({ text: '', is_error: false });
    expect(await foreign.bash('ls')).toEqual({ text: '', is_error: false });
  });

  test('a hand leaves its compiled program to the next, of this state of the program', async () => {
    const cache = join(hands().stateFolder, 'cache');
    rmSync(cache, { recursive: true, force: true });
    await hands().provision();
    const isFilled = (): boolean => readdirSync(cache).some((name) => name.startsWith('hand-v'));
    await waitFor('the cache to be filled', isFilled);
    const compiled = readdirSync(cache, { recursive: true }).length;
    const second = await hands().provision({ session: 'another' });
    expect((await second.bash('echo on')).text).toBe('on');
    await second.run('read', { file_path: 'none' });
    await hands().provider.release({ hand: second.instance, keep_workspace: true });
    // Nothing was left to compile.
    expect(readdirSync(cache, { recursive: true })).toHaveLength(compiled);
  });

  test('a session id that is a path stays a name', async () => {
    const hand = await hands().provision({ session: '../../../../etc/passwd', name: '/' });
    const { text } = await hand.bash('pwd');
    expect(text).toMatch(/\/hands\/[0-9a-f]{16}\/sandbox\/workspace$/);
    expect(text.startsWith(hands().stateFolder)).toBe(true);
  });

  test('the generation after → the one before is ended, its files stay', async () => {
    const first = await hands().provision();
    await first.bash('echo kept > file; sleep 1000 &');
    const next = await hands().provision({ generation: 2 });
    expect((await next.bash('cat file')).text).toBe('kept');
    expect(processesMentioning(first.instance.instance)).toEqual([]);
  });

  test('a generation that is past → an error that is not retried', async () => {
    await hands().provision({ generation: 3 });
    await expect(hands().provision({ generation: 2 })).rejects.toMatchObject({
      type: FAILURE.sandboxSuperseded,
      nonRetryable: true,
      message: expect.stringContaining('generation 3'),
    });
  });

  test('after its supervisor was killed → another instance', async () => {
    const first = await hands().provision();
    process.kill(readRecord(folderOf(first).root)?.pid ?? 0, 'SIGKILL');
    const again = await hands().provision();
    expect(again.instance.instance).not.toBe(first.instance.instance);
    expect((await again.bash('echo on')).text).toBe('on');
  });

  test('folders and sockets are for this user alone', async () => {
    const hand = await hands().provision();
    const { socket } = readRecord(folderOf(hand).root) ?? { socket: '' };
    for (const path of [
      hands().stateFolder,
      folderOf(hand).root,
      folderOf(hand).workspace,
      join(socket, '..'),
    ]) {
      expect(statSync(path).mode & 0o077).toBe(0);
    }
    expect(lstatSync(socket).isSocket()).toBe(true);
  });

  test('a state folder with a long path → sockets elsewhere, and short', async () => {
    const base = realpathSync(mkdtempSync(join(tmpdir(), 'drv-')));
    const stateFolder = join(base, 'a-rather-long-name'.repeat(8));
    onTestFinished(() => rmSync(base, { recursive: true, force: true }));
    const provider = createLocalProvider({ stateFolder, isolation: ISOLATION });
    const name = { session_id: 's', chain_id: 'chain', name: 'main', generation: 1 };
    const environment = {
      id: null,
      version: null,
      definition: EnvironmentDefinition.parse({ networking: { type: 'unrestricted' } }),
    };
    const { instance } = await provider.provision({ hand: name, environment, resources: [] });
    const hand = toTestHand(provider, { ...name, provider: 'local', instance });
    expect((await hand.bash('echo on')).text).toBe('on');
    const { socket } = readRecord(findHandFolder(stateFolder, name).root) ?? { socket: '' };
    expect(Buffer.byteLength(socket)).toBeLessThan(100);
    expect(statSync(join(socket, '..', '..')).mode & 0o077).toBe(0);
    provider.close();
    await releaseAll(stateFolder);
    await expectNoProcesses(stateFolder);
  });
});

describe('release', () => {
  test('ends every process of the hand, the workspace kept', async () => {
    const hand = await hands().provision();
    await hand.bash(
      'echo kept > file; sleep 1000 & setsid sleep 1001 & (nohup setsid sleep 1002 &) 2>/dev/null',
    );
    await hands().provider.release({ hand: hand.instance, keep_workspace: true });
    expect(processesMentioning(hand.instance.instance)).toEqual([]);
    expect(processesMentioning(hands().stateFolder)).toEqual([]);
    expect(readFileSync(join(folderOf(hand).workspace, 'file'), 'utf8')).toBe('kept\n');
    expect(readdirSync(folderOf(hand).sockets)).toEqual([]);
  });

  test('without keeping: the workspace is removed, whatever its permissions and links', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'drv-'));
    onTestFinished(() => rmSync(outside, { recursive: true, force: true }));
    const hand = await hands().provision();
    await hand.bash(`mkdir -p a/b; echo x > a/b/c; chmod 000 a/b a; ln -s ${outside} link`);
    await hands().provider.release({ hand: hand.instance, keep_workspace: false });
    expect(existsSync(folderOf(hand).root)).toBe(false);
    expect(existsSync(outside)).toBe(true);
  });

  test('without an instance: what was kept is removed, a later generation is not', async () => {
    const hand = await hands().provision();
    await hand.bash('echo kept > file');
    await hands().provider.release({ hand: hand.instance, keep_workspace: true });
    const later = await hands().provision({ generation: 3 });
    expect((await later.bash('cat file')).text).toBe('kept');
    const { provider } = hands();
    await provider.release({
      hand: { ...hand.instance, generation: 2, instance: null },
      keep_workspace: false,
    });
    expect((await later.bash('cat file')).text).toBe('kept');
    await provider.release({ hand: later.instance, keep_workspace: true });
    const over = { hand: { ...hand.instance, generation: 4, instance: null } } as const;
    await provider.release({ ...over, keep_workspace: false });
    expect(existsSync(folderOf(hand).root)).toBe(false);
    await provider.release({ ...over, keep_workspace: false });
  });

  test('the same session id in another chain → another workspace', async () => {
    const hand = await hands().provision();
    await hand.bash('echo mine > file');
    const other = { ...hand.instance, chain_id: 'a later one' };
    expect(findHandFolder(hands().stateFolder, other)).not.toEqual(folderOf(hand));
  });

  test('twice, or of a hand that is gone → fine', async () => {
    const hand = await hands().provision();
    process.kill(readRecord(folderOf(hand).root)?.pid ?? 0, 'SIGKILL');
    await hands().provider.release({ hand: hand.instance, keep_workspace: true });
    await hands().provider.release({ hand: hand.instance, keep_workspace: true });
    expect(processesMentioning(hands().stateFolder)).toEqual([]);
  });

  test('of an earlier instance → the present one is left alone', async () => {
    const old = await hands().provision({ generation: 1 });
    const present = await hands().provision({ generation: 2 });
    await hands().provider.release({ hand: old.instance, keep_workspace: false });
    expect((await present.bash('echo on')).text).toBe('on');
  });

  test('in mid-call → the call is lost, its outcome unknown', async () => {
    const hand = await hands().provision();
    const running = hand.bash('echo x > started; sleep 1000');
    await waitFor('the command to start', () =>
      existsSync(join(folderOf(hand).workspace, 'started')),
    );
    await hands().another().release({ hand: hand.instance, keep_workspace: true });
    const result = await running;
    expect(result).toMatchObject({ is_error: true, lost: true });
    // The daemon may still say that its shell ended before it ends itself.
    expect(result.text).toMatch(/^Outcome unknown|bash session terminated/);
  });

  test('releaseAll ends all hands of a state folder and keeps their workspaces', async () => {
    const all = await Promise.all([hands().provision(), hands().provision({ session: 'another' })]);
    await all[0]?.bash('echo kept > file');
    await releaseAll(hands().stateFolder);
    expect(processesMentioning(hands().stateFolder)).toEqual([]);
    expect(all.map((hand) => existsSync(folderOf(hand).workspace))).toEqual([true, true]);
    await releaseAll(join(hands().stateFolder, 'none'));
  });
});

describe('the lease', () => {
  const environment = { idle_release_seconds: 1 };

  test('no call for its idle lifetime → the supervisor ends, the workspace kept', async () => {
    const hand = await hands().provision({ environment });
    await hand.bash('echo kept > file; sleep 1000 &');
    await waitFor(
      'the hand to end',
      () => processesMentioning(hands().stateFolder).length === 0,
      8_000,
    );
    expect(existsSync(join(folderOf(hand).workspace, 'file'))).toBe(true);
    const result = await hand.bash('echo late');
    expect(result).toMatchObject({ is_error: true, lost: true });
    expect(result.text).toMatch(/nothing ran/);
  });

  test('its state folder removed → it ends', async () => {
    const hand = await hands().provision();
    await hand.bash('sleep 1000 &');
    rmSync(hands().stateFolder, { recursive: true });
    await expectNoProcesses(hands().stateFolder);
  });

  test('a call that runs longer than that holds it', async () => {
    const hand = await hands().provision({ environment });
    expect(await hand.bash('sleep 3; echo done')).toEqual({ text: 'done', is_error: false });
  });

  test('a running call of a worker that is gone holds it until the call ends', async () => {
    const hand = await hands().provision({ environment });
    const detach = new AbortController();
    const given = expect(
      hand.bash('sleep 3; echo x > ended', { detach: detach.signal, id: 'toolu_1' }),
    ).rejects.toThrow();
    await waitFor('the command to start', () =>
      readFileSync(join(folderOf(hand).journal, 'calls.jsonl'), 'utf8').includes('running'),
    );
    detach.abort(new Error('gone'));
    hands().provider.close();
    await given;
    await waitFor(
      'the hand to end',
      () => processesMentioning(hands().stateFolder).length === 0,
      10_000,
    );
    expect(existsSync(join(folderOf(hand).workspace, 'ended'))).toBe(true);
  });
});

function cmdline(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

describe('unconfined, as an operator may choose', () => {
  const unconfined = useLocalHands({ isolation: 'unconfined' });

  test('works, with a clean environment', async () => {
    process.env['ANTHROPIC_API_KEY'] = 'planted';
    onTestFinished(() => void delete process.env['ANTHROPIC_API_KEY']);
    const hand = await unconfined().provision();
    const { text } = await hand.bash(
      'env; tr "\\0" "\\n" </proc/$PPID/environ; for p in $(ps -o ppid= $PPID); do tr "\\0" "\\n" </proc/$p/environ; done',
    );
    expect(text).toContain('DROVER_HAND=');
    expect(text).not.toContain('planted');
    expect(await hand.run('write', { file_path: 'a', content: 'x' })).toMatchObject({
      is_error: false,
    });
    expect((await hand.bash('exec 5>&-; ls /proc/self/fd | wc -l')).text).toBe('4');
  });

  test('a timeout ends what left its process group, too', async () => {
    const hand = await unconfined().provision();
    const before = `8${process.pid}1`;
    const during = `8${process.pid}2`;
    await hand.bash(`sleep ${before} &`);
    await hand.bash(`setsid sleep ${during} & (setsid sleep ${during} &); sleep 100`, {
      timeout_ms: 400,
    });
    expect(processesMentioning(during)).toEqual([]);
    expect(processesMentioning(before)).toHaveLength(1);
  });

  test.skipIf(!IS_ISOLATED)(
    'its hand is not used by a worker that requires isolation',
    async () => {
      const hand = await unconfined().provision();
      const strict = unconfined().another({ isolation: 'required' });
      const result = await hand.bash('echo run > ran', { provider: strict });
      expect(result).toMatchObject({ is_error: true, lost: true });
      expect(processesMentioning(hand.instance.instance)).toEqual([]);
      const { session_id, chain_id, name, generation } = hand.instance;
      const again = await strict.provision({
        hand: { session_id, chain_id, name, generation },
        environment: { id: null, version: null, definition: EnvironmentDefinition.parse({}) },
        resources: [],
      });
      const confined = toTestHand(strict, { ...hand.instance, ...again });
      expect((await confined.bash('ls ran')).text).toMatch(/No such file/);
    },
  );

  test.each(['daemon', 'supervisor'] as const)(
    'its %s killed → lost, and no process is left',
    async (victim) => {
      const hand = await unconfined().provision();
      await hand.bash('setsid sleep 1000 & (setsid sleep 1001 &)');
      const { root } = findHandFolder(unconfined().stateFolder, hand.instance);
      const supervisor = readRecord(root)?.pid ?? 0;
      const daemon = Number(
        execFileSync('pgrep', ['-P', String(supervisor)], { encoding: 'utf8' }).trim(),
      );
      process.kill(victim === 'daemon' ? daemon : supervisor, 'SIGKILL');
      expect(await hand.bash('echo on')).toMatchObject({ is_error: true, lost: true });
      await expectNoProcesses(unconfined().stateFolder);
    },
  );
});
