import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { findHandFolder } from '../../activities/hands/local/hand-folder.ts';
import { readRecord } from '../../activities/hands/local/supervisor-record.ts';
import { CallConflictError } from '../../hand/hand.ts';
import { EnvironmentDefinition } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { HandInstance, HandName, ToolCall } from '../../protocol/hand.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  IS_ISOLATED,
  processesMentioning,
  type TestHand,
  toTestHand,
  useLocalHands,
} from './local-hands.ts';

const hands = useLocalHands();
const CHILD = fileURLToPath(new URL('./worker-child.ts', import.meta.url));
const environment = { id: null, version: null, definition: EnvironmentDefinition.parse({}) };
const ISOLATION = IS_ISOLATED ? 'required' : 'unconfined';

/** Another worker process, on the same state folder. */
function worker(order: object): ChildProcess & { readonly said: Promise<string> } {
  const { stateFolder } = hands();
  const argument = JSON.stringify({ stateFolder, isolation: ISOLATION, ...order });
  const child = spawn(process.execPath, [CHILD, argument], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout?.on('data', (chunk) => {
    text += String(chunk);
  });
  const said = once(child, 'close').then(() => text);
  return Object.assign(child, { said });
}

function handNamed(session_id: string): HandName {
  return { session_id, chain_id: 'chain', name: 'main', generation: 1 };
}

function folderOf({ instance }: TestHand) {
  return findHandFolder(hands().stateFolder, instance);
}

function execution(hand: TestHand, call: ToolCall) {
  return { hand: hand.instance, session_id: hand.instance.session_id, call };
}

/** How often the command of a test ran. */
function runs(hand: TestHand): number {
  const path = join(folderOf(hand).workspace, 'runs');
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n').length : 0;
}

describe('a worker that is killed', () => {
  test('in mid-call: the next attempt attaches and gets the one result', async () => {
    const hand = await hands().provision();
    const call = {
      id: 'toolu_1',
      name: 'bash',
      input: { command: 'echo run >> runs; while [ ! -e go ]; do sleep 0.02; done; echo done' },
    };
    const first = worker({ execute: execution(hand, call) });
    await waitFor('the command to start', () => runs(hand) === 1);
    first.kill('SIGKILL');
    await first.said;
    const second = hand.run('bash', call.input, { id: call.id });
    await hand.run('write', { file_path: 'go', content: '' });
    expect(await second).toEqual({ text: 'done', is_error: false });
    expect(runs(hand)).toBe(1);
  });

  test.each([5, 20, 40, 60, 80, 100, 120, 150, 200, 300])(
    'after %d ms of its life: the command has run at most once, and does once it is asked again',
    async (ms) => {
      const hand = await hands().provision();
      const call = {
        id: 'toolu_1',
        name: 'bash',
        input: { command: 'echo run >> runs; echo done' },
      };
      const first = worker({ execute: execution(hand, call) });
      await delay(ms);
      first.kill('SIGKILL');
      await first.said;
      expect(runs(hand)).toBeLessThanOrEqual(1);
      expect(await hand.run('bash', call.input, { id: call.id })).toEqual({
        text: 'done',
        is_error: false,
      });
      expect(runs(hand)).toBe(1);
    },
  );

  test('while it provisions: the hand is adopted, or made anew, and there is one', async () => {
    for (const ms of [50, 120, 200, 280, 360]) {
      const hand = handNamed(`killed after ${ms}`);
      const first = worker({ provision: { hand, environment, resources: [] } });
      await delay(ms);
      first.kill('SIGKILL');
      const { instance } = await hands().provider.provision({ hand, environment, resources: [] });
      const used = toTestHand(hands().provider, { ...hand, provider: 'local', instance });
      expect((await used.bash('echo here')).text).toBe('here');
      expect(supervisorsOf(hand.session_id)).toHaveLength(1);
    }
  });

  test('its hand outlives it', async () => {
    const hand = handNamed('outlived');
    const first = worker({ provision: { hand, environment, resources: [] } });
    const { instance } = JSON.parse(await first.said) as HandInstance;
    const adopted = await hands().provider.provision({ hand, environment, resources: [] });
    expect(adopted.instance).toBe(instance);
  });
});

function supervisorsOf(text: string): number[] {
  return processesMentioning('supervisor-main').filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`"session_id":"${text}"`),
  );
}

describe('one call', () => {
  test('asked for twice at once, by two workers: one run, one result', async () => {
    const hand = await hands().provision();
    const command = 'echo run >> runs; sleep 0.3; echo $RANDOM';
    const results = await Promise.all([
      hand.bash(command, { id: 'toolu_1' }),
      hand.bash(command, { id: 'toolu_1', provider: hands().another() }),
      hand.bash(command, { id: 'toolu_1' }),
    ]);
    expect(new Set(results.map(({ text }) => text)).size).toBe(1);
    expect(runs(hand)).toBe(1);
  });

  test('asked for again when it is done: the stored result', async () => {
    const hand = await hands().provision();
    const first = await hand.bash('echo run >> runs; echo $RANDOM$RANDOM', { id: 'toolu_1' });
    expect(await hand.bash('echo run >> runs; echo $RANDOM$RANDOM', { id: 'toolu_1' })).toEqual(
      first,
    );
    expect(runs(hand)).toBe(1);
  });

  test('with another input under the same id: an error, and nothing runs', async () => {
    const hand = await hands().provision();
    await hand.bash('echo run >> runs', { id: 'toolu_1' });
    await expect(hand.bash('echo other >> runs', { id: 'toolu_1' })).rejects.toThrow(
      CallConflictError,
    );
    expect(runs(hand)).toBe(1);
  });

  test('of another session on the same hand: a call of its own', async () => {
    const hand = await hands().provision();
    const input = { command: 'echo run >> runs' };
    await hand.run('bash', input, { id: 'toolu_1' });
    const options = {
      interrupt: new AbortController().signal,
      detach: new AbortController().signal,
      onProgress: () => {},
    };
    const call = { id: 'toolu_1', name: 'bash', input };
    await hands().provider.execute(
      { hand: hand.instance, session_id: 'a child session', call },
      options,
    );
    expect(runs(hand)).toBe(2);
  });

  test('several at once: file tools do not wait for a command', async () => {
    const hand = await hands().provision();
    const slow = hand.bash('while [ ! -e go ]; do sleep 0.02; done; cat go');
    await hand.run('write', { file_path: 'go', content: 'on' });
    expect((await slow).text).toBe('on');
  });

  test('given up by its worker: it goes on, and the next attempt gets its result', async () => {
    const hand = await hands().provision();
    const detach = new AbortController();
    const command = 'echo run >> runs; sleep 0.5; echo done';
    const first = hand.bash(command, { id: 'toolu_1', detach: detach.signal });
    const given = expect(first).rejects.toThrow('this worker stops');
    await waitFor('the command to start', () => runs(hand) === 1);
    detach.abort(new Error('this worker stops'));
    await given;
    expect(await hand.bash(command, { id: 'toolu_1' })).toEqual({ text: 'done', is_error: false });
    expect(runs(hand)).toBe(1);
  });
});

describe('a lost hand', () => {
  const inMidCall = async (hand: TestHand, lose: () => unknown) => {
    const running = hand.bash('echo run >> runs; sleep 100', { id: 'toolu_1' });
    await waitFor('the command to start', () => runs(hand) === 1);
    await lose();
    return running;
  };

  test('its daemon killed in mid-call → outcome unknown, lost; asked again → the same', async () => {
    const hand = await hands().provision();
    const unknown = await inMidCall(hand, () => process.kill(daemonOf(hand), 'SIGKILL'));
    expect(unknown).toMatchObject({ is_error: true, lost: true });
    expect(unknown.text).toMatch(/^Outcome unknown: the sandbox ended while this call was running/);
    expect(await hand.bash('echo run >> runs; sleep 100', { id: 'toolu_1' })).toEqual(unknown);
    expect(runs(hand)).toBe(1);
  });

  test('its daemon killed by its own command → the same', async () => {
    const hand = await hands().provision();
    const result = await hand.bash('kill -9 $PPID; sleep 100');
    expect(result).toMatchObject({ is_error: true, lost: true });
    expect(result.text).toMatch(/^Outcome unknown/);
  });

  test.each([
    '{"type":"progress","id":"1:2","tail":{"toString":1}}',
    '{"type":"result"}',
    'null',
    'x',
  ])('a command says %s in the name of its daemon → lost, and the worker lives', async (frame) => {
    const hand = await hands().provision();
    // The daemon's own standard output, by way of `pidfd_getfd`.
    const forge = [
      'import ctypes, os, sys',
      'stream = ctypes.CDLL(None).syscall(438, os.pidfd_open(int(sys.argv[1])), 1, 0)',
      'for _ in range(3): os.write(stream, (sys.argv[2] + chr(10)).encode())',
    ].join('\n');
    await hand.run('write', { file_path: 'forge.py', content: forge });
    const result = await hand.bash(`python3 forge.py $PPID '${frame}'; sleep 100`);
    expect(result).toMatchObject({ is_error: true, lost: true });
    const next = await hands().provision({ generation: 2 });
    expect((await next.bash('echo here')).text).toBe('here');
  });

  test('its supervisor killed in mid-call → outcome unknown, and no process is left', async () => {
    const hand = await hands().provision();
    const unknown = await inMidCall(hand, () => process.kill(supervisorOf(hand), 'SIGKILL'));
    expect(unknown).toMatchObject({ is_error: true, lost: true });
    expect(unknown.text).toMatch(/^Outcome unknown/);
    await waitFor('all to be gone', () => processesMentioning(hands().stateFolder).length === 0);
  });

  test('gone before the call → nothing ran, lost', async () => {
    const hand = await hands().provision();
    process.kill(supervisorOf(hand), 'SIGKILL');
    const result = await hand.bash('echo run >> runs');
    expect(result).toMatchObject({ is_error: true, lost: true });
    expect(result.text).toMatch(/lost before this call started: nothing ran/);
    expect(runs(hand)).toBe(0);
  });

  test('gone after the call ended but before anyone was told → the result, lost', async () => {
    const hand = await hands().provision();
    const first = worker({
      execute: execution(hand, {
        id: 'toolu_1',
        name: 'bash',
        input: { command: 'echo run >> runs; sleep 0.5; echo done > ended; echo said' },
      }),
    });
    await waitFor('the command to start', () => runs(hand) === 1);
    first.kill('SIGKILL');
    await waitFor('the command to end', () => existsSync(join(folderOf(hand).workspace, 'ended')));
    await waitFor('its result to be written', () =>
      readFileSync(join(folderOf(hand).journal, 'calls.jsonl'), 'utf8').includes('"done"'),
    );
    process.kill(supervisorOf(hand), 'SIGKILL');
    const input = { command: 'echo run >> runs; sleep 0.5; echo done > ended; echo said' };
    expect(await hand.run('bash', input, { id: 'toolu_1' })).toEqual({
      text: 'said',
      is_error: false,
      lost: true,
    });
  });

  test('another instance in its place → lost, never a new call', async () => {
    const old = await hands().provision({ generation: 1 });
    const next = await hands().provision({ generation: 2 });
    expect(next.instance.instance).not.toBe(old.instance.instance);
    const result = await old.bash('echo run >> runs');
    expect(result).toMatchObject({ is_error: true, lost: true });
    expect(runs(next)).toBe(0);
    expect((await next.bash('echo alive')).text).toBe('alive');
  });

  test('a supervisor that hangs is given up, and ended so that nothing goes on', async () => {
    const hand = await hands().provision();
    const provider = hands().another({ silenceMs: 1_000 });
    const running = hand.bash('echo run >> runs; sleep 100', { id: 'toolu_1', provider });
    await waitFor('the command to start', () => runs(hand) === 1);
    process.kill(supervisorOf(hand), 'SIGSTOP');
    const result = await running;
    expect(result).toMatchObject({ is_error: true, lost: true });
    expect(result.text).toMatch(/^Outcome unknown/);
    expect(processesMentioning(hands().stateFolder)).toEqual([]);
  });

  test('a journal that a command tampered with leads nowhere outside', async () => {
    const hand = await hands().provision();
    await hand.bash('rm ../journal/calls.jsonl; ln -s /etc/passwd ../journal/calls.jsonl');
    process.kill(supervisorOf(hand), 'SIGKILL');
    const result = await hand.bash('true');
    expect(result.text).toMatch(/^Outcome unknown/);
    expect(result.lost).toBe(true);
  });

  test('an earlier generation asked for → refused, naming the present one', async () => {
    const later = await hands().provision({ generation: 3 });
    await expect(hands().provision({ generation: 1 })).rejects.toMatchObject({
      type: FAILURE.sandboxSuperseded,
      details: [3],
    });
    expect((await later.bash('echo alive')).text).toBe('alive');
  });

  test('the next generation finds the files, and the journal of the one before', async () => {
    const first = await hands().provision({ generation: 1 });
    await first.bash('echo kept > file');
    await inMidCall(first, () => process.kill(supervisorOf(first), 'SIGKILL'));
    const second = await hands().provision({ generation: 2 });
    expect((await second.bash('cat file')).text).toBe('kept');
    // The same key, asked of the new instance: told, not run again.
    const again = await second.bash('echo run >> runs; sleep 100', { id: 'toolu_1' });
    expect(again.text).toMatch(/^Outcome unknown/);
    expect(runs(second)).toBe(1);
  });
});

function supervisorOf(hand: TestHand): number {
  return readRecord(folderOf(hand).root)?.pid ?? 0;
}

function daemonOf(hand: TestHand): number {
  const daemons = processesMentioning(hand.instance.instance).filter((pid) => {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words[1]?.endsWith('hand/main.ts') === true;
  });
  return daemons[0] ?? 0;
}
