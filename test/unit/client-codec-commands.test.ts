import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { runCommandLine } from '../../client/command-line/run-command-line.ts';
import { connectDrover } from '../../client/connect-drover.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drover-keys-'));
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => {
  delete process.env['DROVER_PAYLOAD_KEYS'];
});

/** One command as typed. No server runs: it must not ask for one. */
async function cli(...args: string[]) {
  let stdout = '';
  let stderr = '';
  const code = await runCommandLine(args, 'drover', {
    stdin: process.stdin,
    stdout: {
      write: (text) => {
        stdout += text;
      },
    },
    stderr: {
      write: (text) => {
        stderr += text;
      },
    },
    signal: new AbortController().signal,
  });
  return { code, stdout, stderr };
}

test('create, then rotate: what is printed names keys and shows none', async () => {
  const path = join(folder, 'ring.json');
  const created = await cli('payload-keys', 'create', path);
  expect(created.stderr).toBe('');
  expect(created.stdout).toMatch(
    /ring\.json: encrypts with pk-\d{8}-\w+\.\w+; keep a copy of it\n/,
  );
  process.env['DROVER_PAYLOAD_KEYS'] = path;
  const rotated = await cli('payload-keys', 'rotate', '--output', 'json');
  const { keys, mark } = JSON.parse(await readFile(path, 'utf8'));
  expect(JSON.parse(rotated.stdout)).toEqual({
    path,
    key: {
      id: keys[1].id,
      created_at: keys[1].created_at,
      encrypts_from: keys[1].encrypts_from,
    },
  });
  const laterMs = Date.parse(keys[1].encrypts_from) - Date.parse(keys[1].created_at);
  expect(laterMs).toBe(5 * 60_000);
  const now = await cli('payload-keys', 'rotate', '--after', '0');
  expect(now.code).toBe(0);
  for (const secret of [mark, ...keys.map((key: { secret: string }) => key.secret)]) {
    expect(created.stdout + rotated.stdout + now.stdout).not.toContain(secret);
  }
});

test.each<[string, string[], RegExp, number]>([
  ['no path', ['payload-keys', 'create'], /which key ring\? Give its path, or set DROVER_PAY/, 1],
  ['no ring', ['codec-server'], /which key ring\?/, 1],
  ['a time that is none', ['payload-keys', 'rotate', '--after', 'soon'], /give minutes/, 2],
  ['a port that is none', ['codec-server', '--port', '99999'], /give a port/, 2],
])('%s → refused in words', async (_name, args, words, code) => {
  const ended = await cli(...args);
  expect(ended.stderr).toMatch(words);
  expect(ended.code).toBe(code);
});

test.each<[string, string[], RegExp]>([
  [
    'others without a token',
    ['--host', '0.0.0.0'],
    /others could decrypt through it; give --token-file/,
  ],
  ['a token that is too short', ['--token-file', 'SHORT'], /at least 16 ASCII characters/],
  [
    'a token that is not there',
    ['--token-file', '/nowhere'],
    /--token-file: \/nowhere cannot be read/,
  ],
  ['an origin that is none', ['--origin', 'localhost'], /--origin localhost: give an address/],
])('a codec server for %s → refused in words', async (name, args, words) => {
  const path = join(folder, `${name}.json`);
  await cli('payload-keys', 'create', path);
  process.env['DROVER_PAYLOAD_KEYS'] = path;
  await writeFile(join(folder, 'short'), 'abc\n');
  const given = args.map((arg) => (arg === 'SHORT' ? join(folder, 'short') : arg));
  const ended = await cli('codec-server', '--port', '0', ...given);
  expect(ended.stderr).toMatch(words);
  expect(ended.code).toBe(1);
});

test('a client whose ring cannot be used sends nothing, and says why', async () => {
  const path = join(folder, 'open.json');
  await cli('payload-keys', 'create', path);
  await chmod(path, 0o644);
  process.env['DROVER_PAYLOAD_KEYS'] = path;
  const connecting = connectDrover({ address: '127.0.0.1:1', connectTimeoutMs: 100 });
  await expect(connecting).rejects.toThrow(/open\.json: has mode 0644/);
  const other = connectDrover({ address: '127.0.0.1:1', payloadKeys: null, connectTimeoutMs: 100 });
  await expect(other).rejects.toMatchObject({ code: 'server_unreachable' });
});
