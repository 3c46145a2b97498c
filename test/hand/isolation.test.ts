import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLocalProvider } from '../../activities/hands/local/local-provider.ts';
import { EnvironmentDefinition } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import {
  expectNoProcesses,
  IS_ISOLATED,
  NEEDS,
  type TestHand,
  useLocalHands,
} from './local-hands.ts';

// Each of these tries what must not work, from inside, and first that it would work from outside.

const SECRET = `secret-${process.pid}`;
const outside = mkdtempSync(join(homedir(), '.drover-outside-'));
const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));

describe.skipIf(!IS_ISOLATED)(`a hand is confined (${NEEDS})`, () => {
  // Where nothing but the state folder's own rule hides it, if this user may write there.
  const hands = useLocalHands({
    endAfter: 'all',
    base: canWrite('/var/lib') ? '/var/lib' : tmpdir(),
  });
  let hand: TestHand;
  let other: TestHand;
  let socketServer: Server;
  let tcpServer: Server;
  let tcpPort: number;
  const runSocket = `/run/drover-test-${process.pid}.sock`;

  beforeAll(async () => {
    process.env['ANTHROPIC_API_KEY'] = SECRET;
    mkdirSync('/tmp/claude', { recursive: true });
    rmSync('/tmp/claude/drover-test', { force: true });
    writeFileSync(join(outside, 'id_rsa'), SECRET);
    writeFileSync(join(hands().stateFolder, 'temporal.db'), SECRET);
    writeFileSync(join(tmpdir(), `drover-${SECRET}`), SECRET);
    socketServer = await listen({ path: runSocket });
    tcpServer = await listen({ port: 0, host: '127.0.0.1' });
    const address = tcpServer.address();
    tcpPort = typeof address === 'object' && address !== null ? address.port : 0;
    [hand, other] = await Promise.all([
      hands().provision(),
      hands().provision({ session: 'other session' }),
    ]);
    await other.run('write', { file_path: 'theirs.txt', content: SECRET });
  });
  afterAll(() => {
    delete process.env['ANTHROPIC_API_KEY'];
    socketServer.close();
    tcpServer.close();
    for (const path of [outside, join(tmpdir(), `drover-${SECRET}`)]) {
      rmSync(path, { recursive: true, force: true });
    }
  });

  const workspaceOf = async (which: TestHand): Promise<string> => (await which.bash('pwd')).text;

  test.each([
    { what: 'a file of the home folder', path: () => join(outside, 'id_rsa') },
    { what: 'the state folder', path: () => join(hands().stateFolder, 'temporal.db') },
    { what: 'a temporary file of someone else', path: () => join(tmpdir(), `drover-${SECRET}`) },
    { what: 'this program’s folder', path: () => join(PACKAGE, 'vitest.config.ts') },
  ])('cannot read $what', async ({ path }) => {
    const result = await hand.bash(`cat '${path()}'`);
    expect(result.is_error).toBe(true);
    expect(result.text).toMatch(/No such file|Permission denied/);
  });

  test('cannot read the workspace of another session', async () => {
    const path = join(await workspaceOf(other), 'theirs.txt');
    expect((await other.bash(`cat '${path}'`)).text).toBe(SECRET);
    expect((await hand.bash(`cat '${path}'`)).text).toMatch(/No such file/);
    expect((await hand.bash(`ls '${dirname(dirname(dirname(dirname(path))))}'`)).text).not.toMatch(
      /\n/,
    );
  });

  test('the file tools follow no link out of the workspace', async () => {
    await hand.bash('ln -sf /etc/passwd link');
    expect(await hand.run('read', { file_path: 'link' })).toMatchObject({ is_error: true });
  });

  test('a link from the workspace to a secret leads nowhere', async () => {
    const workspace = await workspaceOf(hand);
    symlinkSync(join(outside, 'id_rsa'), join(workspace, 'planted'));
    expect((await hand.bash('cat planted')).text).toMatch(/No such file/);
  });

  test.each(['/etc/drover-test', '/usr/local/drover-test', '/var/drover-test', '/drover-test'])(
    'cannot write %s',
    async (path) => {
      const result = await hand.bash(`echo x > ${path}`);
      expect(result.text).toMatch(/Read-only file system|Permission denied/);
    },
  );

  test('what it writes to a hidden folder does not come out', async () => {
    await hand.bash(`echo x > /tmp/inside; mkdir -p ${outside}; echo x > ${outside}/inside; true`);
    expect((await hand.bash('cat /tmp/inside')).text).toBe('x');
    expect((await other.bash('cat /tmp/inside')).is_error).toBe(true);
    expect(['/tmp/inside', join(outside, 'inside')].filter((path) => existsSync(path))).toEqual([]);
  });

  test('cannot write the folder that the runtime shares among all', async () => {
    await hand.bash('mkdir -p /tmp/claude; echo x > /tmp/claude/drover-test');
    expect(existsSync('/tmp/claude/drover-test')).toBe(false);
  });

  test('cannot connect to a unix socket of the host', async () => {
    expect(await tryConnect({ path: runSocket })).toBe('connected');
    const result = await hand.bash(connectScript({ path: runSocket }));
    expect(result.text).toMatch(/EPERM|EACCES/);
  });

  test('cannot make a unix socket at all', async () => {
    const result = await hand.bash(`python3 -c "import socket; socket.socket(socket.AF_UNIX)"`);
    expect(result.text).toMatch(/Operation not permitted/);
  });

  test.each([
    { family: 'AF_VSOCK', type: 'SOCK_STREAM' },
    { family: 'AF_PACKET', type: 'SOCK_RAW' },
  ])('cannot make a socket of $family', async ({ family, type }) => {
    const attempt = `python3 -c "from socket import *; socket(${family}, ${type})"`;
    expect((await hand.bash(attempt)).text).toMatch(/Address family not supported/);
  });

  test('cannot make a ring that would make sockets past the filter', async () => {
    const attempt = `python3 -c "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
parameters = ctypes.create_string_buffer(120)
print('made' if libc.syscall(425, 1, parameters) >= 0 else os.strerror(ctypes.get_errno()))"`;
    expect((await hand.bash(attempt)).text).toBe('Operation not permitted');
  });

  test('cannot connect to a TCP server on the loopback of the host', async () => {
    const target = { port: tcpPort, host: '127.0.0.1' };
    expect(await tryConnect(target)).toBe('connected');
    expect((await hand.bash(connectScript(target))).text).toMatch(/ECONNREFUSED|ENETUNREACH/);
  });

  test('has no network', async () => {
    const { text } = await hand.bash('cat /proc/net/route; cat /sys/class/net/*/address');
    expect(text).not.toMatch(/\n\S+\t[0-9A-F]{8}/);
    const result = await hand.bash(connectScript({ port: 53, host: '1.1.1.1' }));
    expect(result.text).toMatch(/ENETUNREACH|EHOSTUNREACH/);
  });

  test('cannot change a setting of the kernel, nor undo what forbids it', async () => {
    // Written over with what it holds; a program named there is started outside every sandbox.
    const rewrite =
      'old=$(cat /proc/sys/kernel/core_pattern); printf %s "$old" > /proc/sys/kernel/core_pattern && echo written';
    const { text } = await hand.bash(`
      ${rewrite}
      umount /proc/sys; mount -o remount,bind,rw /proc/sys; ${rewrite}
      unshare -Urm bash -c '${rewrite}; umount /proc/sys; mount -o remount,bind,rw /proc/sys; ${rewrite}'
      unshare -U --map-user=1000 -m bash -c 'umount -l /proc/sys; mount -o remount,bind,rw /proc/sys; ${rewrite}'
      unshare -U --map-user=1000 -mpf bash -c 'mkdir p; mount -t proc proc p && echo mounted'
      for process in /proc/[0-9]*; do nsenter -t \${process#/proc/} -U -m true 2>/dev/null && echo entered $process; done`);
    expect(text).toMatch(/Read-only file system|Permission denied/);
    expect(text).not.toMatch(/^(written|mounted|entered)/m);
  });

  test.skipIf(process.getuid?.() !== 0)('cannot read what only root may read', async () => {
    expect((await hand.bash('cat /etc/shadow')).text).not.toContain('root:');
    expect((await hand.bash('grep CapEff /proc/self/status')).text).toMatch(/\t0+$/);
  });

  test('sees no API key, and nothing else of the worker’s environment', async () => {
    const { text } = await hand.bash(
      'env | sort; for file in /proc/[0-9]*/environ; do tr "\\0" "\\n" <$file; done 2>/dev/null',
    );
    expect(text).not.toContain(SECRET);
    const names = [...text.matchAll(/^([A-Za-z_]+)=/gm)].map((match) => match[1]);
    expect(new Set(names)).toEqual(
      new Set([
        ...['DROVER_HAND', 'HOME', 'LANG', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'TMPDIR', 'USER'],
        // The daemon's alone, and read-only.
        'NODE_COMPILE_CACHE',
        // bash's own.
        ...['OLDPWD', 'PWD', 'SHLVL', '_'],
      ]),
    );
  });

  test('cannot write the compiled code that supervisors run', async () => {
    const cache = join(hands().stateFolder, 'cache');
    expect((await hand.bash(`ls ${cache}`)).is_error).toBe(false);
    expect((await hand.bash(`echo x > ${cache}/x`)).text).toMatch(/Read-only file system/);
    expect((await hand.bash('echo "[$NODE_COMPILE_CACHE]"')).text).toBe('[]');
  });

  test('sees no environment of a process outside', async () => {
    const { text } = await hand.bash(
      'for file in /proc/[0-9]*/environ; do tr "\\0" "\\n" <$file; done 2>&1; ls -d /proc/[0-9]* | wc -l',
    );
    expect(text).not.toContain(SECRET);
    expect(Number(text.split('\n').at(-1))).toBeLessThan(20);
  });

  test('cannot signal or trace a process outside', async () => {
    const result = await hand.bash(`kill -0 ${process.pid}`);
    expect(result.text).toMatch(/No such process/);
  });

  test('inherits no open file of the worker', async () => {
    const { text } = await hand.bash(
      'ls -l /proc/$PPID/fd | grep -v "pipe:\\|socket:\\|anon_inode"',
    );
    expect(text).not.toMatch(/supervisor|\.db|\/dev\/pts/);
  });

  test('node, its test runner, git, python and rg work', async () => {
    const result = await hand.bash(`
      node -p 'process.version.split(".")[0]'
      git init -q repository && cd repository && git config user.email a@b.c && git config user.name n
      echo "require('node:test')('adds', () => require('node:assert').equal(1 + 1, 2))" > a.test.js
      git add . && git commit -qm first && git log --format=%s
      git hook run --ignore-missing pre-commit; echo 'exit 1' > .git/hooks/pre-commit && echo hook written
      node --test 2>&1 | grep '^ℹ pass'
      python3 -c 'print(6 * 7)'
      rg -c adds
      echo "$TMPDIR" | grep -c "$(dirname "$PWD" | xargs dirname)"
      mktemp >/dev/null && echo x > ~/file && cat ~/file; cd ..`);
    expect(result.text.split('\n')).toEqual([
      ...['v24', 'first', 'hook written', 'ℹ pass 1', '42', 'a.test.js:1', '1', 'x'],
    ]);
  });

  test('a server inside is reached from inside, over calls', async () => {
    await hand.bash(
      `node -e "require('http').createServer((q, a) => a.end('served')).listen(8123, () => console.log('up'))" > log & until grep -q up log; do sleep 0.05; done`,
    );
    const fetched = await hand.bash(
      `node -p "fetch('http://127.0.0.1:8123').then((r) => r.text()).then(console.log), ''"`,
    );
    expect(fetched.text).toMatch(/served/);
    await hand.run('bash', { restart: true });
  });
});

describe.skipIf(!IS_ISOLATED)(`the network as the environment allows (${NEEDS})`, () => {
  const hands = useLocalHands();

  /** Answers over HTTP; the proxy is asked for it by name of an address. */
  async function serve(): Promise<{ readonly port: number; close(): void }> {
    const { createServer: createHttpServer } = await import('node:http');
    const server = createHttpServer((_request, response) => response.end('from outside'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return { port, close: () => void server.close() };
  }
  const fetchThroughProxy = (url: string): string =>
    `curl -sS -m 10 --noproxy '' -x "$http_proxy" -w ' %{http_code}' ${url}`;

  test('allowed_hosts → those, and no other', async () => {
    const server = await serve();
    const hand = await hands().provision({
      environment: { networking: { type: 'limited', allowed_hosts: ['127.0.0.1'] } },
    });
    const allowed = await hand.bash(fetchThroughProxy(`http://127.0.0.1:${server.port}/`));
    expect(allowed.text).toBe('from outside 200');
    const refused = await hand.bash(fetchThroughProxy(`http://localhost:${server.port}/`));
    expect(refused.text).toMatch(/ 403$/);
    server.close();
  });

  test('unrestricted → not this machine, by address or by name', async () => {
    const server = await serve();
    const hand = await hands().provision({ environment: { networking: { type: 'unrestricted' } } });
    for (const host of ['127.0.0.1', 'localhost', '0.0.0.0', '[::1]', '127.1']) {
      const result = await hand.bash(fetchThroughProxy(`http://${host}:${server.port}/`));
      expect(result.text).not.toMatch(/from outside/);
    }
    // A name that no one knows is tried: what refuses it is the resolver, not the rules.
    const unknown = await hand.bash(fetchThroughProxy('http://drover-test.invalid/'));
    expect(unknown.text).toMatch(/ 50\d$/);
    server.close();
  });

  test('sockets stay blocked and TMPDIR stays ours when a proxy is there', async () => {
    const hand = await hands().provision({ environment: { networking: { type: 'unrestricted' } } });
    expect((await hand.bash('echo $TMPDIR')).text).toContain(hands().stateFolder);
    const result = await hand.bash(`python3 -c "import socket; socket.socket(socket.AF_UNIX)"`);
    expect(result.text).toMatch(/Operation not permitted/);
  });
});

describe('no isolation on this machine', () => {
  const folder = mkdtempSync(join(tmpdir(), 'drv-'));
  afterAll(async () => {
    await expectNoProcesses(folder);
    rmSync(folder, { recursive: true, force: true });
  });

  /** A `PATH` on which `bwrap` is a script, or on which there is nothing but a shell. */
  function programs(name: string, bwrap?: string): string {
    const bin = join(folder, name);
    mkdirSync(bin);
    for (const program of ['bash', 'ls', 'mkfifo']) {
      symlinkSync(`/bin/${program}`, join(bin, program));
    }
    if (bwrap === undefined) return bin;
    writeFileSync(join(bin, 'bwrap'), `#!/bin/bash\n${bwrap}\n`, { mode: 0o755 });
    for (const program of ['socat', 'rg']) symlinkSync('/bin/true', join(bin, program));
    return `${bin}:/usr/bin:/bin`;
  }

  async function provisionWith(path: string): Promise<unknown> {
    const provider = createLocalProvider({ stateFolder: folder, isolation: 'required', path });
    const definition = EnvironmentDefinition.parse({});
    return provider
      .provision({
        hand: { session_id: path, chain_id: 'chain', name: 'main', generation: 1 },
        environment: { id: null, version: null, definition },
        resources: [],
      })
      .finally(() => provider.close());
  }

  test('programs missing → what to install and the way around it, not retried', async () => {
    await expect(provisionWith(programs('empty'))).rejects.toMatchObject({
      type: FAILURE.sandboxIsolationMissing,
      nonRetryable: true,
      message: expect.stringMatching(
        /bwrap, socat, rg not found on PATH.*apt-get install bubblewrap socat ripgrep.*DROVER_SANDBOX=unconfined/,
      ),
    });
  });

  test('namespaces refused → said in words, not retried', async () => {
    const bin = programs(
      'refused',
      'echo "bwrap: No permissions to create new namespace" >&2; exit 1',
    );
    await expect(provisionWith(bin)).rejects.toMatchObject({
      type: FAILURE.sandboxIsolationMissing,
      nonRetryable: true,
      message: expect.stringMatching(/No permissions to create new namespace.*user namespaces/),
    });
  });

  test('a daemon that cannot start → an error that is retried, with what it said', async () => {
    const bin = programs('broken', 'echo "the disk is on fire" >&2; exit 1');
    await expect(provisionWith(bin)).rejects.toMatchObject({
      type: FAILURE.sandboxUnavailable,
      nonRetryable: false,
      message: expect.stringMatching(/the disk is on fire/),
    });
  });

  test('a sandbox that leaves unix sockets open → refused', async () => {
    // Runs what it is given without confining it, and without the helper that blocks sockets.
    const script =
      'for last; do :; done; eval "exec $(printf %s "$last" | sed s/^.*apply-seccomp//)"';
    const bin = programs('open', script);
    await expect(provisionWith(bin)).rejects.toMatchObject({
      type: FAILURE.sandboxIsolationMissing,
      message: expect.stringMatching(/unix sockets are open/),
    });
  });
});

function canWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function listen(where: { path: string } | { port: number; host: string }): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.end('hello'));
    server.once('error', reject);
    server.listen(where, () => resolve(server));
  });
}

/** The same attempt from here and, as a script, from inside. */
function tryConnect(target: object): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(target as { path: string });
    socket.on('connect', () => resolve('connected'));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

function connectScript(target: object): string {
  const options = JSON.stringify(target).replaceAll('"', "'");
  return `node -e "require('net').connect(${options}).on('connect', () => { console.log('connected'); process.exit() }).on('error', (error) => { console.log(error.code); process.exit(1) })"`;
}
