import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { proxyVariables } from '../../egress/proxy-variables.ts';
import { type EgressProcess, startEgress } from '../support/egress-process.ts';
import { serveFolder, startUpstream, type Upstream } from '../support/egress-upstream.ts';
import { waitFor } from '../support/wait-for.ts';

// Clients as sessions use them, told of the proxy by nothing but its variables.

const FOLDER = mkdtempSync(join(tmpdir(), 'drover-egress-clients-'));
const BIG_BYTES = 64 * 1024 * 1024;

let egress: EgressProcess;
let upstream: Upstream;

beforeAll(async () => {
  mkdirSync(join(FOLDER, 'served'));
  writeFileSync(join(FOLDER, 'served/hello.txt'), 'hello\n');
  const files = serveFolder(join(FOLDER, 'served'));
  upstream = await startUpstream({
    names: 'DNS:localhost,IP:127.0.0.1',
    answer(request, response) {
      if (request.url === '/away') {
        response.writeHead(302, { location: `http://[::1]:${upstream.plainPort}/x` }).end();
      } else if (request.url === '/count') {
        let bytes = 0;
        request.on('data', (chunk) => {
          bytes += chunk.length;
        });
        request.on('end', () => response.end(`${bytes} bytes\n`));
      } else if (request.url === '/silent') {
        response.writeHead(200).flushHeaders();
      } else files(request, response);
    },
  });
  egress = await startEgress('127.0.0.0/8');
});

afterAll(async () => {
  await egress.close();
  await upstream.close();
  rmSync(FOLDER, { recursive: true });
});

let hosts: string[];
beforeEach(() => {
  hosts = [`127.0.0.1:${upstream.tlsPort}`, `127.0.0.1:${upstream.plainPort}`];
});

interface Ran {
  readonly code: number;
  readonly text: string;
}

function run(command: string, proxy = egress.url(egress.token({ hosts }))): Promise<Ran> {
  const env = {
    PATH: `${join(process.execPath, '..')}:${process.env['PATH']}`,
    HOME: FOLDER,
    CURL_CA_BUNDLE: upstream.caPath,
    GIT_SSL_CAINFO: upstream.caPath,
    NODE_EXTRA_CA_CERTS: upstream.caPath,
    // Not what it asks of a shell: a person.
    GIT_TERMINAL_PROMPT: '0',
    ...proxyVariables(proxy),
    // The upstream is on this machine, which a hand asks without a proxy.
    NO_PROXY: '',
    no_proxy: '',
  };
  return new Promise((resolve) => {
    execFile('bash', ['-c', command], { env, cwd: FOLDER }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), text: stdout + stderr });
    });
  });
}

const tls = (path: string) => `https://127.0.0.1:${upstream.tlsPort}${path}`;
const plain = (path: string) => `http://127.0.0.1:${upstream.plainPort}${path}`;
const fetching = (url: string) =>
  `node -e "fetch('${url}').then(async (answer) => console.log(answer.status, await answer.text()))"`;

describe('an allowed host', () => {
  test.each([
    ['curl, TLS', () => `curl -sS ${tls('/hello.txt')}`, 'hello\n'],
    ['curl, plain', () => `curl -sS ${plain('/hello.txt')}`, 'hello\n'],
    ['fetch, TLS', () => fetching(tls('/hello.txt')), '200 hello\n\n'],
    ['fetch, plain', () => fetching(plain('/hello.txt')), '200 hello\n\n'],
    ['curl, an answer that is an error', () => `curl -sS ${plain('/none')}`, 'no such file\n'],
    [
      'curl, two on one connection',
      () => `curl -sS ${plain('/hello.txt')} ${plain('/hello.txt')}`,
      'hello\nhello\n',
    ],
    [
      'curl, only the head',
      () => `curl -sSI ${plain('/hello.txt')} | head -1`,
      'HTTP/1.1 200 OK\r\n',
    ],
    [
      'curl, a tunnel to the plain port',
      () => `curl -sS --proxytunnel ${plain('/hello.txt')}`,
      'hello\n',
    ],
  ])('%s → passes', async (_what, command, text) => {
    expect(await run(command())).toEqual({ code: 0, text });
  });

  test('git → clones', async () => {
    const made = await run(
      'git init -q --bare served/repo.git && git init -q work && cd work && echo hi > file && git add file && ' +
        'git -c user.name=a -c user.email=a@example.com commit -qm first && git push -q ../served/repo.git HEAD:main && ' +
        'cd ../served/repo.git && git symbolic-ref HEAD refs/heads/main && git update-server-info',
    );
    expect(made).toEqual({ code: 0, text: '' });
    expect(await run(`git clone -q ${tls('/repo.git')} cloned && cat cloned/file`)).toEqual({
      code: 0,
      text: 'hi\n',
    });
  });

  test.each([
    ['with its length', ''],
    ['in chunks', '-H "Transfer-Encoding: chunked" -H "Expect:"'],
  ])('a large body %s → arrives whole', async (_what, options) => {
    const upload = (url: string) =>
      run(`head -c ${BIG_BYTES} /dev/zero > big; curl -sS ${options} -T big ${url}`);
    expect(await upload(plain('/count'))).toEqual({ code: 0, text: `${BIG_BYTES} bytes\n` });
    expect(await upload(tls('/count'))).toEqual({ code: 0, text: `${BIG_BYTES} bytes\n` });
  });
});

describe('what is not allowed', () => {
  const refused = (host: string) =>
    `403 host ${host} is not in this environment's networking.allowed_hosts`;

  test.each([
    ['curl, TLS', () => 'curl -sSi https://example.com/', refused('example.com')],
    ['curl, TLS, without its head', () => 'curl -sS https://example.com/', 'response 403'],
    ['curl, plain', () => 'curl -sS http://example.com/', refused('example.com')],
    ['fetch, plain', () => fetching('http://example.com/'), '403'],
    ['git, TLS', () => 'git clone -q https://example.com/x', 'response 403'],
    ['git, plain', () => 'git clone -q http://example.com/x', 'error: 403'],
    [
      'another port',
      () => 'curl -sSi https://127.0.0.1:22/',
      "403 port 22 of host 127.0.0.1 is not in this environment's networking.allowed_hosts",
    ],
  ])('%s → refused in words', async (_what, command, words) => {
    expect((await run(command())).text).toContain(words);
  });

  test('pip → prints the words', async () => {
    const { code, text } = await run(
      'python3 -m pip download --retries 1 --no-input x --index-url https://example.com/',
    );
    expect(code).not.toBe(0);
    expect(text).toContain(`Tunnel connection failed: ${refused('example.com')}`);
  });

  test('npm → prints the words', async () => {
    const { code, text } = await run(
      'npm view x --registry https://example.com/ --fetch-retries 0',
    );
    expect(code).not.toBe(0);
    expect(text).toContain(refused('example.com'));
  });

  test('a redirect to another host → the next request is checked by itself', async () => {
    const { text } = await run(`curl -sSL ${plain('/away')}`);
    expect(text).toContain(refused('[::1]'));
  });

  test('a name of a private address → refused, though it is allowed', async () => {
    hosts = ['localhost:1', '169.254.169.254', '10.0.0.1'];
    const strict = await startEgress('');
    const proxy = strict.url(strict.token({ hosts }));
    try {
      for (const authority of hosts) {
        const words = `403 host ${authority.replace(/:1$/, '')} leads to no public address`;
        expect((await run(`curl -sS http://${authority}/`, proxy)).text).toContain(words);
        expect((await run(`curl -sSi https://${authority}/`, proxy)).text).toContain(words);
      }
    } finally {
      await strict.close();
    }
  });
});

describe('whose request it is', () => {
  test.each([
    [
      'no token',
      () => `http://127.0.0.1:${egress.port}`,
      '407 this proxy wants the token of a hand',
    ],
    ['no token of ours', () => egress.url('secret'), '407 credentials are no token of a hand'],
    [
      'an expired token',
      () => egress.url(egress.token({ hosts, expires: 1 })),
      '403 the token of this hand has expired (1970-01-01T00:00:01.000Z)',
    ],
    [
      "another hand's token",
      () => egress.url(egress.token({ hosts, addresses: ['127.0.0.2'] })),
      '403 the token is that of another hand',
    ],
  ])('%s → refused', async (_what, proxy, words) => {
    const arrived = upstream.requests.length;
    expect((await run(`curl -sS ${plain('/hello.txt')}`, proxy())).text).toContain(words);
    expect((await run(`curl -sSi ${tls('/hello.txt')}`, proxy())).text).toContain(words);
    expect(upstream.requests).toHaveLength(arrived);
  });

  test('its key is taken from the file → refused from then on, without a restart', async () => {
    const own = await startEgress('127.0.0.0/8');
    const proxy = own.url(own.token({ hosts }));
    try {
      expect((await run(`curl -sS ${plain('/hello.txt')}`, proxy)).text).toBe('hello\n');
      writeFileSync(own.keysPath, `k2 ${Buffer.alloc(32, '2').toString('base64')}\n`);
      const words = '407 the token was signed with a key that is gone';
      expect((await run(`curl -sS ${plain('/hello.txt')}`, proxy)).text).toContain(words);
      rmSync(own.keysPath);
      expect((await run(`curl -sS ${plain('/hello.txt')}`, proxy)).text).toContain(
        `503 the proxy has no keys: ${own.keysPath} cannot be read (ENOENT)`,
      );
    } finally {
      writeFileSync(own.keysPath, '');
      await own.close();
    }
  });

  test('the token and the path reach neither the upstream nor the log', async () => {
    const token = egress.token({ hosts });
    await run(`curl -sS -H "X-Kept: yes" ${plain('/hello.txt?q=secret')}`, egress.url(token));
    const { headers } = upstream.requests.at(-1) ?? {};
    expect(headers).toEqual({
      host: `127.0.0.1:${upstream.plainPort}`,
      'user-agent': expect.any(String),
      accept: '*/*',
      'x-kept': 'yes',
      connection: 'close',
    });
    await run('curl -sS "http://nobody.example.com/path?q=secret"', egress.url(token));
    const line = await egress.refusalOf('nobody.example.com');
    expect(line).toEqual({
      time: expect.any(String),
      event: 'refused',
      status: 403,
      reason: 'host-not-allowed',
      words: expect.any(String),
      from: '127.0.0.1',
      host: 'nobody.example.com',
      port: 80,
      session: 'session-1',
      hand: 'hand-1',
    });
    const log = JSON.stringify(egress.lines);
    for (const secret of [token, 'q=secret', '/path']) expect(log).not.toContain(secret);
  });
});

test('it is told to stop → ends what is under way, takes no more, exits with 0', async () => {
  const own = await startEgress('127.0.0.0/8');
  const proxy = own.url(own.token({ hosts }));
  const arrived = upstream.requests.length;
  const slow = run(
    `curl -sS -T - ${plain('/count')} < <(while [ ! -e go ]; do sleep 0.05; done; echo end)`,
    proxy,
  );
  try {
    await waitFor('the upload to begin', () => upstream.requests.length > arrived);
    own.process.kill('SIGTERM');
    await waitFor('it to take no more', async () => {
      const { text } = await run(`curl -sS ${plain('/hello.txt')}`, proxy);
      return /refused|Failed to connect/.test(text);
    });
    const exited = once(own.process, 'exit');
    writeFileSync(join(FOLDER, 'go'), '');
    expect(await slow).toEqual({ code: 0, text: '4 bytes\n' });
    expect(await exited).toEqual([0, null]);
  } finally {
    await own.close();
  }
});
