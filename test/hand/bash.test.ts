import { readFileSync, statSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { findHandFolder } from '../../activities/hands/local/hand-folder.ts';
import type { ExecuteProgress } from '../../protocol/hand.ts';
import { waitFor } from '../support/wait-for.ts';
import { IS_ISOLATED, processesMentioning, type TestHand, useLocalHands } from './local-hands.ts';

const hands = useLocalHands({ endAfter: 'all' });
let hand: TestHand;
beforeAll(async () => {
  hand = await hands().provision();
});

/** A number that no other process has in its arguments. */
let lastMark = 31_000_000 + (process.pid % 1000) * 1_000;
function mark(): string {
  lastMark += 1;
  return String(lastMark);
}

test('a timeout ends what left its process group, too', async () => {
  const [group, session, orphan, deaf] = [mark(), mark(), mark(), mark()];
  const result = await hand.bash(
    `sleep ${group} & setsid sleep ${session} & (setsid nohup sleep ${orphan} >/dev/null 2>&1 &)
     (trap '' TERM; sleep ${deaf}) & trap '' TERM; sleep 100`,
    { timeout_ms: 500 },
  );
  expect(result.text).toMatch(/^bash: bash command timed out after 500ms/);
  expect([group, session, orphan, deaf].flatMap(processesMentioning)).toEqual([]);
});

test.skipIf(!IS_ISOLATED)(
  'a process that cleared its environment and left its parents is ended, too',
  async () => {
    const lonely = mark();
    await hand.bash(`(env -i setsid sleep ${lonely} &); sleep 100`, { timeout_ms: 300 });
    expect(processesMentioning(lonely)).toEqual([]);
  },
);

test('a loop in the shell itself is ended', async () => {
  const result = await hand.bash('while true; do :; done', { timeout_ms: 300 });
  expect(result.text).toMatch(/timed out after 300ms/);
  expect((await hand.bash('echo on')).text).toMatch(/on$/);
});

test('a shell that is ended does not go on with the rest of its command', async () => {
  await hand.bash('rm -f went-on; sleep 100; touch went-on', { timeout_ms: 300 });
  expect((await hand.bash('ls went-on')).text).toMatch(/No such file/);
});

test('the next result says that the shell was restarted, the one after does not', async () => {
  await hand.bash('cd /; x=5; sleep 100', { timeout_ms: 300 });
  const next = await hand.bash('echo "[$x]"; basename "$PWD"');
  expect(next.text).toMatch(
    /^\[the shell was restarted, because the previous command timed out.*\]\n\[\]\nworkspace$/,
  );
  expect(await hand.bash('echo on')).toEqual({ text: 'on', is_error: false });
});

test('a background process of an earlier call survives a later timeout', async () => {
  const server = mark();
  await hand.bash(`sleep ${server} &`);
  await hand.bash('sleep 100', { timeout_ms: 300 });
  expect(processesMentioning(server)).toHaveLength(1);
  await hand.run('bash', { restart: true });
  expect(processesMentioning(server)).toEqual([]);
});

test('a background process that holds the output does not hold the call', async () => {
  const server = mark();
  const startedAt = performance.now();
  const result = await hand.bash(`sleep ${server} & echo started`);
  expect(result).toEqual({ text: 'started', is_error: false });
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  await waitFor('the sleep to have begun', () => processesMentioning(server).length === 1);
  await hand.run('bash', { restart: true });
});

test('a command that closes its output ends, and the next has its own', async () => {
  expect(await hand.bash('echo a; exec >&- 2>&-; echo b')).toMatchObject({ text: 'a' });
  expect(await hand.bash('echo next; echo err >&2')).toEqual({
    text: 'next\nerr',
    is_error: false,
  });
});

test('a syntax error is told at once', async () => {
  const result = await hand.bash('echo "unterminated');
  expect(result.is_error).toBe(true);
  expect(result.text).toMatch(/unexpected EOF/);
  expect(await hand.bash('echo fine')).toEqual({ text: 'fine', is_error: false });
});

test('/dev/stderr and /dev/stdout can be opened, and erase nothing', async () => {
  const result = await hand.bash('echo a; echo b >/dev/stderr; echo c >/dev/stdout; echo d');
  expect(result.text).toBe('a\nb\nc\nd');
});

test('a command cannot tell the end of another: the control descriptor is not inherited', async () => {
  const result = await hand.bash('ls /proc/self/fd; (echo x >&198) 2>&1; (echo x >&197) 2>&1');
  expect(result.text).toMatch(
    /^0\n1\n2\n3\n.*198: Bad file descriptor\n.*197: Bad file descriptor$/,
  );
});

test('calls wait for one another, and the clock starts when the command does', async () => {
  const first = hand.bash('sleep 1.5; echo first');
  const second = hand.bash('sleep 0.2; echo second', { timeout_ms: 1_000 });
  expect((await first).text).toBe('first');
  expect(await second).toEqual({ text: 'second', is_error: false });
});

test('the default timeout is that of the SDK', async () => {
  const { readBashInput } = await import('../../hand/bash-input.ts');
  expect(readBashInput({ command: 'x' })).toMatchObject({ timeoutMs: 120_000 });
});

test.each([
  { input: { command: 5 }, says: /command must be a string/ },
  { input: { command: 'a\0b' }, says: /NUL/ },
  { input: { command: 'true', timeout_ms: -1 }, says: /timeout_ms/ },
  { input: { command: 'true', timeout_ms: 'soon' }, says: /timeout_ms/ },
])('input $input → an error in words', async ({ input, says }) => {
  const result = await hand.run('bash', input);
  expect(result.is_error).toBe(true);
  expect(result.text).toMatch(says);
});

test('1 GB of output: bounded memory, its end for the model, the whole in a file', async () => {
  const peak = async (): Promise<number> => {
    const { text } = await hand.bash('grep VmHWM /proc/$PPID/status | tr -dc 0-9');
    return Number(text);
  };
  const before = await peak();
  const result = await hand.bash(`head -c 1000000000 /dev/zero | tr '\\0' a; echo; echo the end`);
  const [notice, ...output] = result.text.split('\n');
  const path = /the end of 1000000009 bytes follows; the whole output is in (\S+)\]$/.exec(
    notice ?? '',
  )?.[1];
  expect(path).toBeDefined();
  expect(output.join('\n')).toMatch(/^a+\nthe end$/);
  expect(Buffer.byteLength(output.join('\n'))).toBeLessThanOrEqual(100 * 1024);
  expect(statSync(path ?? '').size).toBe(1_000_000_009);
  expect((await peak()) - before).toBeLessThan(100_000);
  // The model can look at it with its own tools.
  const read = await hand.run('grep', { pattern: '^the end$', path });
  expect(read).toEqual({ text: '2:the end\n', is_error: false });
}, 120_000);

test('output just above the limit is cut between characters', async () => {
  const result = await hand.bash(`python3 -c "print('ä' * 60000)"`);
  expect(result.text).toMatch(/^\[output truncated: the end of 120001 bytes follows;.*\]\nä+$/);
});

test('binary output comes as text, and whole in its file when it was too much', async () => {
  const small = await hand.bash(`printf 'a\\0b\\377c'`);
  expect(small).toEqual({ text: 'a\uFFFDb\uFFFDc', is_error: false });
  const big = await hand.bash('head -c 90000 /dev/urandom');
  expect(Buffer.byteLength(big.text)).toBeLessThan(103_000);
  const path = /whole output is in (\S+)\]/.exec(big.text)?.[1] ?? '';
  expect(statSync(path).size).toBe(90_000);
});

test('output is on disk, and shown to a watcher, while the command runs', async () => {
  const seen: Omit<ExecuteProgress, 'call_id'>[] = [];
  const running = hand.bash(
    'echo early; while [ ! -e go ]; do sleep 0.05; done; rm go; echo late',
    {
      id: 'toolu_watched',
      onProgress: (progress) => seen.push(progress),
    },
  );
  await waitFor('the first progress', () => seen.length > 0);
  expect(seen[0]).toEqual({ tail: 'early\n', output_bytes: 6 });
  expect(readFileSync(`${workspaceOf(hand)}/../output/toolu_watched.txt`, 'utf8')).toBe('early\n');
  await hand.run('write', { file_path: 'go', content: '' });
  expect((await running).text).toBe('early\nlate');
});

test('a watcher gets at most 2 kB', async () => {
  const seen: number[] = [];
  await hand.bash('seq 1 100000; sleep 0.5', {
    onProgress: ({ tail }) => seen.push(Buffer.byteLength(tail)),
  });
  expect(Math.max(...seen)).toBeGreaterThan(1_000);
  expect(Math.max(...seen)).toBeLessThanOrEqual(2_048);
});

test('a command that kills its shell is a result, and the next call has a new one', async () => {
  const left = mark();
  const result = await hand.bash(`echo said; sleep ${left} & kill -9 $$`);
  expect(result).toEqual({
    text: 'bash: bash session terminated\nOutput until then:\nsaid',
    is_error: true,
  });
  expect(processesMentioning(left)).toEqual([]);
  const next = await hand.bash('echo on');
  expect(next.text).toMatch(/^\[the shell was restarted, because .*killed by SIGKILL.*\]\non$/);
});

test('an interrupt ends the command and returns what it said', async () => {
  const interrupt = new AbortController();
  const sleeper = mark();
  const result = hand.bash(`echo said; setsid sleep ${sleeper}`, {
    interrupt: interrupt.signal,
    onProgress: () => interrupt.abort(),
  });
  expect(await result).toEqual({
    text: 'bash: interrupted; the command was ended with all it had started\nOutput until then:\nsaid',
    is_error: true,
  });
  expect(processesMentioning(sleeper)).toEqual([]);
});

test('an interrupt of a call in the queue: nothing ran', async () => {
  const interrupt = new AbortController();
  const first = hand.bash('rm -f ran; sleep 1; echo first');
  const second = hand.bash('touch ran', { interrupt: interrupt.signal });
  interrupt.abort();
  expect((await second).text).toMatch(/cancelled before it started: nothing ran/);
  expect((await first).text).toMatch(/first$/);
  expect((await hand.bash('ls ran')).text).toMatch(/No such file/);
});

test('the file tools are the SDK’s', async () => {
  expect((await hand.run('write', { file_path: 'd/a.txt', content: 'one\ntwo\n' })).text).toBe(
    'wrote 8 bytes to d/a.txt',
  );
  expect(
    (await hand.run('edit', { file_path: 'd/a.txt', old_string: 'two', new_string: '2' })).text,
  ).toMatch(/^edited d\/a.txt/);
  expect(await hand.run('read', { file_path: 'd/a.txt' })).toEqual({
    text: 'one\n2\n',
    is_error: false,
  });
  expect((await hand.run('glob', { pattern: '**/a.txt' })).text).toMatch(/d\/a\.txt$/);
  expect((await hand.run('grep', { pattern: 'one' })).text).toMatch(/a\.txt:1:one/);
  expect(await hand.run('read', { file_path: 'none' })).toMatchObject({ is_error: true });
  expect(await hand.run('read', { file_path: '/etc/hostname' })).toMatchObject({ is_error: true });
  expect(await hand.run('read', {})).toEqual({
    text: 'read: file_path is required',
    is_error: true,
  });
  expect(await hand.run('read', { file_path: 5 })).toMatchObject({ is_error: true });
});

test('a tool that does not exist → an error that names those that do', async () => {
  expect(await hand.run('teleport', {})).toEqual({
    text: 'There is no tool "teleport" in this sandbox; it has bash, read, write, edit, glob, grep.',
    is_error: true,
  });
});

function workspaceOf({ instance }: TestHand): string {
  return findHandFolder(hands().stateFolder, instance).workspace;
}
