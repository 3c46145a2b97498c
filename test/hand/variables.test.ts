import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { serveFolder } from '../support/egress-upstream.ts';
import {
  CERTIFICATE,
  HOST,
  KEYS,
  PLACEHOLDER,
  VALUE,
  VARIABLE,
  VariableGateway,
} from '../support/variable-gateway.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  IS_ISOLATED,
  NEEDS,
  processesMentioning,
  type TestHand,
  useLocalHands,
} from './local-hands.ts';

// A local hand uses a variable with the programs that people use, and its value is nowhere in it.

const gateway = new VariableGateway();
const hands = useLocalHands({
  endAfter: 'all',
  gateway: { readKeys: () => KEYS, readCertificate: () => CERTIFICATE },
});

beforeAll(async () => {
  if (!IS_ISOLATED) return;
  await gateway.startServer();
  await gateway.start();
  await gateway.listenLocally(hands().stateFolder);
});
afterAll(async () => {
  await gateway.stop();
  await gateway.stopServer();
});

const UNRESTRICTED = { networking: { type: 'unrestricted' as const } };
const GRANTS = { variables: [VARIABLE] };
const tls = (path = '/') => `https://${HOST}:${gateway.tlsPort}${path}`;
const plain = (path = '/') => `http://${HOST}:${gateway.plainPort}${path}`;

let hand: TestHand;
beforeEach(async () => {
  gateway.heard = [];
  if (IS_ISOLATED) hand = await hands().provision({ environment: UNRESTRICTED, grants: GRANTS });
});

const HAS_REQUESTS = spawnSync('/usr/bin/python3', ['-c', 'import requests']).status === 0;
const WITH_HEADER = '-H "Authorization: Bearer $API_TOKEN"';
const node = (code: string) => `node -e '${code}'`;
const python = (code: string) => `/usr/bin/python3 -c '${code}'`;

describe.skipIf(!IS_ISOLATED)(`programs of a hand, ${NEEDS}`, () => {
  test.each([
    ['curl, TLS', () => `curl -sS ${WITH_HEADER} ${tls()}`],
    ['curl, plain', () => `curl -sS ${WITH_HEADER} ${plain()}`],
    ['curl, in a body', () => `curl -sS -d "token=$API_TOKEN" ${tls()}`],
    [
      'node, fetch',
      () =>
        node(
          `fetch("${tls()}", {headers: {authorization: "Bearer " + process.env.API_TOKEN}}).then(async (answer) => console.log(await answer.text()))`,
        ),
    ],
    [
      'node, https',
      () =>
        node(
          `require("https").get("${tls()}", {headers: {authorization: "Bearer " + process.env.API_TOKEN}}, (answer) => answer.pipe(process.stdout))`,
        ),
    ],
    [
      'python, urllib',
      () =>
        python(
          `import os, urllib.request as r; print(r.urlopen(r.Request("${tls()}", headers={"Authorization": "Bearer " + os.environ["API_TOKEN"]})).read().decode())`,
        ),
    ],
  ])('%s → the host has the value, the hand the placeholder', async (_what, command) => {
    const { text } = await hand.bash(command());
    expect(text).toContain(PLACEHOLDER);
    expect(text).not.toContain('c4n4ry');
    expect(gateway.heard).toHaveLength(1);
    const [{ headers, body } = { headers: {}, body: '' }] = gateway.heard;
    expect(headers.authorization ?? decodeURIComponent(body)).toMatch(/^(Bearer |token=)/);
    expect(`${headers.authorization} ${decodeURIComponent(body)}`).toContain(VALUE);
  });

  test.skipIf(!HAS_REQUESTS)(
    `python, requests, in a header and in JSON${HAS_REQUESTS ? '' : ' (SKIPPED, install python3-requests)'}`,
    async () => {
      const said = await hand.bash(
        python(
          'import os, requests; token = os.environ["API_TOKEN"]; session = requests.Session(); ' +
            `print(session.get("${tls('/get')}", headers={"Authorization": "Bearer " + token}).text); ` +
            `print(session.post("${tls('/post')}", json={"token": token}).text)`,
        ),
      );
      expect(said.text.split(PLACEHOLDER)).toHaveLength(3);
      expect(said.text).not.toContain('c4n4ry');
      const [get, post] = gateway.heard;
      expect(get?.headers).toMatchObject({
        authorization: `Bearer ${VALUE}`,
        'user-agent': expect.stringContaining('python-requests'),
      });
      expect(JSON.parse(post?.body ?? '')).toEqual({ token: VALUE });
      // By what the hand was told to trust, and by nothing else.
      const own = await hand.bash(
        `REQUESTS_CA_BUNDLE= CURL_CA_BUNDLE= ${python(`import requests; requests.get("${tls()}")`)} 2>&1`,
      );
      expect(own.text).toMatch(/certificate verify failed/i);
    },
  );

  test('git, with the placeholder as its password → clones', async () => {
    const served = join(hands().stateFolder, 'served');
    mkdirSync(served);
    const git = (...args: string[]) => execFileSync('git', args, { cwd: served, stdio: 'ignore' });
    git('init', '-q', 'work');
    writeFileSync(join(served, 'work', 'file'), 'hi\n');
    git('-C', 'work', 'add', 'file');
    git('-C', 'work', '-c', 'user.name=a', '-c', 'user.email=a@b.c', 'commit', '-qm', 'first');
    git('clone', '-q', '--bare', 'work', 'repo.git');
    git('-C', 'repo.git', 'update-server-info');
    const files = serveFolder(served);
    const echo = gateway.answer;
    gateway.answer = (response: ServerResponse, { url, headers }) => {
      const expected = `Basic ${Buffer.from(`user:${VALUE}`).toString('base64')}`;
      if (headers.authorization === expected) files({ url } as never, response);
      else response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end();
    };
    const helper = `!f() { echo username=user; echo password=$API_TOKEN; }; f`;
    const { text } = await hand.bash(
      `git -c credential.helper='${helper}' clone -q ${tls('/repo.git')} cloned && cat cloned/file`,
    );
    gateway.answer = echo;
    expect(text).toBe('hi');
  });

  test('npm, with the placeholder as its token → the host has the value', async () => {
    const { text } = await hand.bash(
      `npm view x --registry ${tls('/')} --//${HOST}:${gateway.tlsPort}/:_authToken=$API_TOKEN --fetch-retries 0 2>&1`,
    );
    expect(text).not.toMatch(/certificate/i);
    expect(gateway.heard[0]?.headers.authorization).toBe(`Bearer ${VALUE}`);
  });

  test('pip, with the placeholder in its index → trusts the gateway', async () => {
    const index = `https://user:$API_TOKEN@${HOST}:${gateway.tlsPort}/simple`;
    const { text } = await hand.bash(
      `/usr/bin/python3 -m pip download --retries 0 --no-input --disable-pip-version-check -i ${index} x 2>&1`,
    );
    if (text.includes('No module named pip')) return;
    expect(text).not.toMatch(/certificate/i);
    expect(gateway.heard[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from(`user:${VALUE}`).toString('base64')}`,
    );
  });
});

describe.skipIf(!IS_ISOLATED)(`what a hand could try, ${NEEDS}`, () => {
  test('its environment, files, memory → have placeholders, and no value', async () => {
    await hand.bash(`curl -sS ${WITH_HEADER} ${tls()} > kept; sleep 1000 &`);
    const outside = processesMentioning(hand.instance.instance);
    expect(outside.length).toBeGreaterThan(2);
    const seen = await hand.bash(
      'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n"; cat kept; ' +
        'cat $SSL_CERT_FILE | tail -c 300',
    );
    expect(seen.text).toContain(`API_TOKEN=${PLACEHOLDER}`);
    expect(seen.text).not.toContain('c4n4ry');
    for (const pid of outside) {
      for (const part of memoryOf(pid)) {
        expect(part.includes(VALUE), `the memory of process ${pid}`).toBe(false);
      }
    }
    const planted = outside.some((pid) => memoryOf(pid).some((part) => part.includes(PLACEHOLDER)));
    expect(planted).toBe(true);
    expect(filesBelow(hands().stateFolder).filter((text) => text.includes(VALUE))).toEqual([]);
  });

  test('the token is in no argument, which anybody on this machine could read', async () => {
    const token = (await hand.bash('echo -n $HTTPS_PROXY')).text.split('@')[0]?.split(':')[2] ?? '';
    expect(token).toMatch(/^d1\./);
    const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const showing = all.filter((pid) => read(`/proc/${pid}/cmdline`).includes(token));
    expect(showing).toEqual([]);
  });

  test('the token of another hand, none → refused; its own → not', async () => {
    const other = await hands().provision({
      session: 'other',
      environment: UNRESTRICTED,
      grants: GRANTS,
    });
    const proxy = (await hand.bash('echo -n $HTTPS_PROXY')).text;
    const get = (at: string) => `curl -sS -x ${at} ${plain()}`;
    expect((await other.bash(get(proxy))).text).toContain('403 the token is that of another hand');
    expect((await other.bash(get('http://localhost:3128'))).text).toContain(
      '407 this proxy wants the token of a hand',
    );
    expect((await hand.bash(get(proxy))).text).toContain('user-agent');
  });

  test('past the gateway: without a proxy, by SOCKS, to metadata, to a private address', async () => {
    const out = await hand.bash(
      `curl -sS -m 5 --noproxy '*' https://1.1.1.1/ 2>&1; curl -sS -m 5 --socks5-hostname localhost:1080 ${tls()} 2>&1`,
    );
    expect(out.text).toMatch(/curl: \(\d+\)[\s\S]*curl: \(\d+\)/);
    for (const url of ['http://169.254.169.254/latest/', 'http://10.0.0.1/', 'http://[::1]/']) {
      expect((await hand.bash(`curl -sSg -m 5 --noproxy '' ${url}`)).text).toMatch(
        /403 (host \S+ leads to no public address|a hand with variables)/,
      );
    }
    expect(gateway.heard).toEqual([]);
  });

  test('no network → a placeholder, and nowhere to take it', async () => {
    const offline = await hands().provision({ session: 'offline', grants: GRANTS });
    expect((await offline.bash('echo $API_TOKEN')).text).toBe(PLACEHOLDER);
    expect((await offline.bash(`curl -sS -m 5 ${tls()} 2>&1`)).text).toMatch(/curl: \(\d+\)/);
  });

  test('its environment allows another host → the variable’s is refused', async () => {
    const narrow = await hands().provision({
      session: 'narrow',
      environment: { networking: { type: 'limited', allowed_hosts: ['elsewhere.test'] } },
      grants: GRANTS,
    });
    expect((await narrow.bash(`curl -sSi ${tls()} 2>&1`)).text).toContain(
      `403 host ${HOST} is not in this environment's networking.allowed_hosts`,
    );
  });

  test('the gateway goes → told in words; it comes back → goes on', async () => {
    await gateway.stop();
    const get = `curl -sS ${plain()}`;
    expect((await hand.bash(get)).text).toContain('502 the gateway does not answer');
    await gateway.start();
    await gateway.listenLocally(hands().stateFolder);
    await waitFor('the gateway to be found', async () =>
      (await hand.bash(get)).text.includes('user-agent'),
    );
  });
});

test.skipIf(!IS_ISOLATED || process.getuid?.() !== 0)(
  `a secret that an operator keeps elsewhere → out of sight, ${NEEDS}`,
  async () => {
    const folder = mkdtempSync('/opt/drover-secret-');
    const paths = [join(folder, 'hidden'), join(folder, 'seen')];
    for (const path of paths) writeFileSync(path, VALUE, { mode: 0o600 });
    try {
      const provider = hands().another({ secretPaths: paths.slice(0, 1) });
      const hiding = await hands().provision({ session: 'hiding', provider });
      const said = await Promise.all(paths.map((path) => hiding.bash(`cat ${path}`)));
      expect(said.map(({ text }) => text.includes(VALUE))).toEqual([false, true]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

/** What can be read of a process, in parts. */
function memoryOf(pid: number): Buffer[] {
  const parts: Buffer[] = [];
  const script =
    'import sys\n' +
    'maps=open(f"/proc/{sys.argv[1]}/maps").read().splitlines()\n' +
    'mem=open(f"/proc/{sys.argv[1]}/mem","rb",0)\n' +
    'for line in maps:\n' +
    '  span,mode=line.split()[:2]\n' +
    '  start,end=[int(x,16) for x in span.split("-")]\n' +
    '  if "rw" not in mode or end-start>1<<28: continue\n' +
    '  try:\n' +
    '    mem.seek(start); sys.stdout.buffer.write(mem.read(end-start))\n' +
    '  except OSError: pass\n';
  try {
    const stdio: ('ignore' | 'pipe')[] = ['ignore', 'pipe', 'ignore'];
    parts.push(
      execFileSync('/usr/bin/python3', ['-c', script, String(pid)], { maxBuffer: 2 ** 31, stdio }),
    );
  } catch {
    // It has ended meanwhile.
  }
  return parts;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => read(join(entry.parentPath, entry.name)));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
