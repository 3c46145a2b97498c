import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { runCommandLine } from '../../client/command-line/run-command-line.ts';
import { connectDrover, type Drover } from '../../client/index.ts';
import { findTemporalBinary } from '../../launch/temporal-binary.ts';
import type { Player, Turn } from '../../rehearsal/player.ts';
import { fromConversation, says } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

const BIN = fileURLToPath(new URL('../../bin', import.meta.url));
const ASKING = JSON.stringify({
  name: 'asking',
  tools: [
    {
      type: 'agent_toolset_20260401',
      default_config: { permission_policy: { type: 'always_ask' } },
    },
  ],
});

const OVERLOADED: Turn = {
  type: 'error',
  status: 529,
  headers: { 'retry-after': '3' },
  body: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
};

let harness: Harness;
let drover: Drover;
let folder: string;

beforeAll(async () => {
  const script = fromConversation(({ messages }) =>
    JSON.stringify(messages.at(-1)).includes('use a tool')
      ? says([{ type: 'tool_use', name: 'bash', input: { command: 'true' } }])
      : says(`heard ${messages.length}`),
  );
  let refusals = 1;
  const player: Player = (request, context) => {
    const isRefused = JSON.stringify(request.messages).includes('be overloaded') && refusals-- > 0;
    return isRefused ? OVERLOADED : script(request, context);
  };
  harness = await startHarness({ player });
  drover = await connectDrover({
    address: inject('temporalAddress'),
    taskQueue: harness.taskQueue,
  });
  folder = await mkdtemp(join(tmpdir(), 'drover-cli-'));
  await writeFile(
    join(folder, 'environment.json'),
    JSON.stringify({ task_queue: harness.handsQueue }),
  );
  await symlink(join(BIN, 'temporal-agent.js'), join(folder, 'temporal-agent'));
});

afterAll(async () => {
  await drover.close();
  await harness.stop();
  await rm(folder, { recursive: true });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function spawnProgram(program: string, args: readonly string[]): ChildProcess {
  return spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: [folder, process.env['PATH']].join(delimiter),
      HOME: folder,
      TEMPORAL_ADDRESS: inject('temporalAddress'),
    },
  });
}

function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin?.end();
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** One command in this process, as typed. */
async function cli(args: readonly string[], input = ''): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  const typed = ['--address', inject('temporalAddress'), '--task-queue', harness.taskQueue];
  const code = await runCommandLine([...typed, ...args], 'drover', {
    stdin: Readable.from([input]),
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    signal: new AbortController().signal,
  });
  return { code, stdout, stderr };
}

const environment = () => ['--environment', `@${join(folder, 'environment.json')}`];

async function startIdle(text: string, ...options: string[]): Promise<string> {
  const started = await cli(['start', text, '--wait', ...environment(), ...options]);
  const [id] = started.stdout.split('\n');
  if (id?.startsWith('session-')) return id;
  throw new Error(started.stderr);
}

describe('talking', () => {
  test('start takes hands, resources and vaults, as JSON or files', async () => {
    const file = { type: 'file', file_id: 'file_1' };
    const another = { type: 'file', file_id: 'file_2', mount_path: '/data/two' };
    await writeFile(join(folder, 'resources.json'), JSON.stringify([another]));
    const { code, stdout, stderr } = await cli([
      ...['start', ...environment()],
      ...['--hands', JSON.stringify({ gpu: { task_queue: harness.handsQueue } })],
      ...['--resource', JSON.stringify(file), `@${join(folder, 'resources.json')}`],
      ...['--vault', 'vault_1', 'vault_2'],
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const session = await drover.sessions.get(stdout.trim());
    expect(Object.keys(session.environments)).toEqual(['gpu']);
    expect(session.resources).toMatchObject([file, another]);
    expect(session.vault_ids).toEqual(['vault_1', 'vault_2']);
  });

  test.each<[readonly string[], RegExp]>([
    [['--resource', 'file_1'], /--resource: give JSON, or @file/],
    [['--resource', '{'], /--resource: not JSON/],
    [['--resource', '{"type":"folder"}'], /session\.resources\[0\]\.type: must be one of/],
    [['--hands', '{"gpu":{"task_queue":"else"}}'], /session\.hands\.gpu\.task_queue/],
    [['--hands', '@/nowhere'], /--hands: \/nowhere cannot be read/],
  ])('start %j → refused, naming the option or the field', async (options, words) => {
    const { code, stderr } = await cli(['start', 'x', ...options]);
    expect(stderr).toMatch(words);
    expect(code).toBe(1);
  });

  test('start --wait prints the log, and exits with 0 at end_turn', async () => {
    const { code, stdout } = await cli(['start', 'say hello', '--wait', ...environment()]);
    expect(stdout).toMatch(
      /^session-\S+\nyou: say hello\nrunning\nagent: heard 1\nidle: end_turn\n$/,
    );
    expect(code).toBe(0);
  });

  test('who reads lines is told what is tried again, while it is', async () => {
    const { stdout } = await cli(['start', 'be overloaded', '--wait', ...environment()]);
    expect(stdout).toMatch(
      /running\n\(the model request is tried again \(attempt 2\): .*verloaded.*\)\n/,
    );
    expect(stdout).toMatch(/idle: end_turn\n$/);
  });

  test('send --wait shows what follows; - is standard input', async () => {
    const id = await startIdle('hello');
    const { code, stdout } = await cli(['send', id, '-', '--wait'], 'from a pipe\n');
    expect(stdout).toContain('you: from a pipe\n');
    expect(stdout).toContain('agent: heard 3\n');
    expect(stdout).not.toContain('you: hello');
    expect(code).toBe(0);
  });

  test('a tool that asks → exit 1, approve without its id, and what it stopped for', async () => {
    const started = await cli([
      ...['start', 'use a tool', '--wait', '--agent', ASKING],
      ...environment(),
    ]);
    expect(started.code).toBe(1);
    expect(started.stderr).toMatch(/stopped before the turn ended: requires_action \(toolu_/);
    const id = String(started.stdout.split('\n')[0]);
    const approved = await cli(['approve', id]);
    expect(approved.stdout).toMatch(/^approved toolu_/);
    const denied = await waitFor('no call to wait', async () => {
      const attempt = await cli(['deny', id, '--message', 'no']);
      return attempt.code === 1 && attempt;
    });
    expect(denied.stderr).toMatch(/^error: no tool use waits for anybody.*\n$/);
  });

  test('tail --until-idle → past the idles of before, to the one that stands', async () => {
    const id = await startIdle('hello');
    await cli(['send', id, 'again', '--wait']);
    const { code, stdout } = await cli(['tail', id, '--until-idle']);
    expect(stdout.split('\n').filter((line) => line === 'idle: end_turn')).toHaveLength(2);
    expect(stdout).toContain('agent: heard 3\n');
    expect(code).toBe(0);
  });

  test('what is empty or unknown → said, and nothing is started or printed', async () => {
    const id = await startIdle('hello');
    expect((await cli(['start', ''])).stderr).toMatch(/the text is empty/);
    expect((await cli(['start', '-'], '\n')).stderr).toMatch(/the text is empty/);
    const types = await cli(['events', id, '--types', 'agent.message,agent.nonsense']);
    expect(types.code).toBe(2);
    expect(types.stderr).toMatch(/there is no agent.nonsense; there are user.message, /);
    const version = await cli(['agents', 'get', 'any', '--version', 'abc']);
    expect(version.stderr).toMatch(/give a whole number above 0/);
  });

  test('an event as JSON, an interrupt, and the end', async () => {
    const id = await startIdle('hello');
    const event = JSON.stringify({ type: 'user.message', content: 'as an event' });
    expect((await cli(['send', id, '--event', event, '--id', 'mine'])).stdout).toBe(
      'sevt_mine_0\n',
    );
    const interrupted = await cli(['interrupt', id, '-o', 'json']);
    expect(JSON.parse(interrupted.stdout).event_ids).toHaveLength(1);
    expect((await cli(['archive', id])).code).toBe(0);
    await waitFor('its end', async () => {
      return (await drover.sessions.get(id)).status === 'terminated';
    });
    const late = await cli(['send', id, 'hello?']);
    expect(late.stderr).toMatch(/^error: .*has ended.*\n$/);
  });
});

describe('reading', () => {
  test('events, get and list as JSON', async () => {
    const id = await startIdle('hello', '--title', 'A title');
    const events = JSON.parse(
      (await cli(['events', id, '--types', 'user.message,agent.message', '-o', 'json'])).stdout,
    );
    expect(events.map(({ type }: { type: string }) => type)).toEqual([
      'user.message',
      'agent.message',
    ]);
    const newest = JSON.parse(
      (await cli(['events', id, '--desc', '--limit', '1', '--output', 'json'])).stdout,
    );
    expect(newest).toMatchObject([{ type: 'session.status_idle' }]);
    expect(JSON.parse((await cli(['get', id, '-o', 'json'])).stdout)).toMatchObject({ id });
    const listed = await waitFor('it in the list', async () => {
      const list = JSON.parse((await cli(['list', '-o', 'json', '--status', 'idle'])).stdout);
      return list.find((session: { id: string }) => session.id === id);
    });
    expect(listed).toMatchObject({ title: 'A title', stop_reason: 'end_turn' });
    expect((await cli(['list'])).stdout).toMatch(/^SESSION +STATUS +AGENT +TITLE\n/);
  });

  test('tail as JSON goes on with the log, and ends at Ctrl-C', async () => {
    const id = await startIdle('hello');
    const child = spawnProgram(process.execPath, [
      ...[join(BIN, 'drover.js'), 'tail', id, '-o', 'json'],
    ]);
    let printed = '';
    child.stdout?.on('data', (chunk) => {
      printed += chunk;
    });
    const end = ended(child);
    await waitFor('the log so far', () => printed.includes('session.status_idle'));
    await drover.sessions.send(id, 'and now');
    await waitFor('what is new', () => printed.includes('heard 3'));
    child.kill('SIGINT');
    const { code, stderr } = await end;
    expect(code).toBe(130);
    expect(stderr).toBe('');
    const types = printed
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).type);
    expect(types[0]).toBe('user.message');
  });

  test('a reader that has enough ends a tail without an error', async () => {
    const id = await startIdle('hello');
    const command = `"${process.execPath}" "${join(BIN, 'drover.js')}" tail ${id} | head -n 1`;
    const child = spawnProgram('bash', ['-c', `set -o pipefail; ${command}`]);
    const tail = ended(child);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    await drover.sessions.send(id, 'one more line, which finds nobody reading');
    expect(await tail).toEqual({ code: 0, stdout: 'you: hello\n', stderr: '' });
  });
});

describe('the registry', () => {
  test('create → update → get a version → archive', async () => {
    const created = await cli(['agents', 'create', '{"name":"helper"}']);
    const id = created.stdout.trim();
    expect((await cli(['agents', 'update', id, '{"name":"better"}'])).stdout).toBe(
      `${id} version 2\n`,
    );
    const first = await cli(['agents', 'get', id, '--version', '1', '-o', 'json']);
    expect(JSON.parse(first.stdout).definition.name).toBe('helper');
    await waitFor('it in the list', async () =>
      (await cli(['agents', 'list'])).stdout.includes(id),
    );
    expect((await cli(['agents', 'archive', id])).stdout).toBe(`${id} is archived\n`);
    const refused = await cli(['start', 'hello', '--agent', id, '--wait', ...environment()]);
    expect(refused.code).toBe(1);
    expect(refused.stdout).toContain('archived');
  });
});

describe('as an extension of the Temporal CLI', () => {
  test('temporal agent get passes flags and exit codes on', async () => {
    const id = await startIdle('hello');
    const { path } = await findTemporalBinary();
    const address = ['--address', inject('temporalAddress')];
    const got = await ended(
      spawnProgram(path, ['agent', 'get', id, '--output', 'json', ...address]),
    );
    expect(JSON.parse(got.stdout)).toMatchObject({ id, status: 'idle' });
    const missing = await ended(spawnProgram(path, ['agent', 'get', 'nope', ...address]));
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain('there is no session "nope"');
  });
});

describe('with plain temporal, as the README has it', () => {
  test('workflow start, update execute, query', async () => {
    const { path } = await findTemporalBinary();
    const id = `plain-${crypto.randomUUID()}`;
    const temporal = (...args: string[]) =>
      ended(spawnProgram(path, ['workflow', ...args, '--workflow-id', id, '--output', 'json']));
    const input = JSON.stringify('Make hello.txt say hi');
    const queue = ['--task-queue', harness.taskQueue];
    const started = await temporal('start', '--type', 'session', ...queue, '--input', input);
    expect(started).toMatchObject({ code: 0, stderr: '' });
    const sent = await temporal('update', 'execute', '--name', 'send', '--input', '"and now bye"');
    expect(sent.stdout).toMatch(/"sevt_[\w-]+_0"/);
    const idle = await waitFor('the answer to both', async () => {
      const { stdout } = await temporal('query', '--type', 'getSession');
      return /"end_turn"/.test(stdout) && stdout;
    });
    expect(idle).toContain('"drover"');
    const events = await drover.sessions.events(id, { types: ['user.message'] });
    expect(JSON.stringify(events)).toMatch(/Make hello\.txt say hi.*and now bye/);
  });
});

describe('bad input → one line that says what to do', () => {
  test.each([
    [['get', 'nope'], 1, /^error: there is no session "nope".*\n$/],
    [['send', 'nope', 'hi'], 1, /^error: there is no session "nope".*\n$/],
    [['events', 'nope', '--after', 'x'], 1, /^error: .*\n$/],
    [['start', '--agent', '{bad', 'hi'], 1, /^error: --agent: not JSON.*\n$/],
    [['start', '--agent', '@/nowhere', 'hi'], 1, /^error: --agent: \/nowhere cannot be read.*\n$/],
    [['start', '--agent', '{"model":5}', 'hi'], 1, /^error: session\.agent\.model: .*\n$/],
    [['agents', 'create', 'word'], 1, /^error: definition: give a JSON object.*\n$/],
    [['get', 'x', '--address', '127.0.0.1:1'], 1, /^error: no Temporal server answers.*\n$/],
    [['get', 'x', '--profile', 'nope'], 1, /^error: the Temporal configuration.*nope.*\n$/],
    [['get', 'x', '-n', 'nope'], 1, /^error: the server has no namespace "nope".*\n$/],
    [['bogus'], 2, /^error: unknown command 'bogus' \(see drover --help\)\n$/],
    [['list', '--limit', '0'], 2, /^error: .*above 0.*\n$/],
    [['list', '--output', 'xml'], 2, /^error: .*Allowed choices are text, json.*\n$/],
    [['get'], 2, /^error: missing required argument 'session'.*\n$/],
  ] as const)('%j', async (args, code, words) => {
    const result = await cli(args);
    expect(result.stderr).toMatch(words);
    expect(result.code).toBe(code);
  });

  test('as JSON where JSON is asked for', async () => {
    const { stderr } = await cli(['get', 'nope', '-o', 'json']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'not_found' } });
  });
});
