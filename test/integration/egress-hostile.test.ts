import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toBlockList } from '../../dial/public-addresses.ts';
import { createAuthority } from '../../egress/certificate.ts';
import type { Address } from '../../egress/dial.ts';
import { type HandToken, signToken } from '../../egress/hand-token.ts';
import { createEgressProxy, type EgressProxy } from '../../egress/proxy.ts';
import { createVariableSubstitution } from '../../egress/variable-substitution.ts';
import { waitFor } from '../support/wait-for.ts';

// Bytes that no honest client sends, and names that change their mind.

const KEY = { id: 'k1', secret: Buffer.alloc(32, 'k') };
const KEYS = { signing: KEY, byId: new Map([[KEY.id, KEY]]) };
const OPEN = toBlockList(['127.0.0.0/8']);

let closing: (() => Promise<void>)[] = [];
let log: Record<string, unknown>[] = [];
let arrived: IncomingMessage[] = [];
let bodies: string[] = [];
let upstreamPort = 0;

beforeEach(async () => {
  log = [];
  arrived = [];
  bodies = [];
  const upstream = createServer((request, response) => {
    arrived.push(request);
    request.setEncoding('utf8');
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      bodies.push(body);
      response.end('here\n');
    });
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  upstreamPort = (upstream.address() as AddressInfo).port;
  closing.push(async () => {
    upstream.closeAllConnections();
    upstream.close();
  });
});

afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

/** For hands without variables. */
const NO_SUBSTITUTION = createVariableSubstitution({
  credentials: {
    admit: () => Promise.reject(new Error('not asked')),
    secretFor: () => Promise.reject(new Error('not asked')),
  },
  readAuthority: createAuthority,
});

interface Opened {
  readonly proxy: EgressProxy;
  readonly port: number;
  /** How often each name was resolved. */
  readonly resolved: string[];
}

async function open(
  options: {
    readonly answers?: (name: string) => readonly string[];
    readonly mostPerHand?: number;
    readonly idleMs?: number;
    readonly headersMs?: number;
    readonly privateNetworks?: typeof OPEN;
  } = {},
): Promise<Opened> {
  const { answers = () => ['127.0.0.1'], ...rest } = options;
  const resolved: string[] = [];
  const proxy = createEgressProxy({
    readKeys: () => KEYS,
    async resolve(name): Promise<readonly Address[]> {
      resolved.push(name);
      return answers(name).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    },
    privateNetworks: OPEN,
    connectMs: 1_000,
    mostPerHand: 100,
    idleMs: 60_000,
    headersMs: 10_000,
    trusted: [],
    substitution: NO_SUBSTITUTION,
    services: [],
    log: (line) => log.push(line as Record<string, unknown>),
    ...rest,
  });
  proxy.server.listen(0, '127.0.0.1');
  await once(proxy.server, 'listening');
  closing.push(() => proxy.stop(0));
  return { proxy, port: (proxy.server.address() as AddressInfo).port, resolved };
}

function credentials(change: Partial<HandToken> = {}): string {
  const token = signToken(KEYS, {
    session: 'session-1',
    chain_id: 'chain-1',
    name: 'main',
    generation: 1,
    hand: 'hand-1',
    addresses: ['127.0.0.1'],
    hosts: [`up.test:${upstreamPort}`],
    expires: 4_000_000_000,
    ...change,
  });
  return `Proxy-Authorization: Basic ${Buffer.from(`hand:${token}`).toString('base64')}`;
}

/** All that comes back for these bytes, until the proxy closes. */
async function send(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let said = '';
  socket.on('data', (chunk) => {
    said += chunk.toString('latin1');
    if (said.includes('Connection established')) socket.end();
  });
  socket.on('error', () => {});
  socket.write(Buffer.from(bytes, 'latin1'));
  await once(socket, 'close');
  return said;
}

const CLOSE = 'Connection: close';
const lines = (...all: readonly string[]): string => `${all.join('\r\n')}\r\n\r\n`;
const up = () => `up.test:${upstreamPort}`;

describe('a request that can be read in two ways', () => {
  test.each([
    ['two lengths', 'Content-Length: 3\r\nContent-Length: 30'],
    ['a length and chunks', 'Content-Length: 30\r\nTransfer-Encoding: chunked'],
    ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 30'],
    ['chunks that are not last', 'Transfer-Encoding: chunked, identity'],
    ['another coding', 'Transfer-Encoding: xchunked'],
    ['a length that is no number', 'Content-Length: +3'],
    ['a space before the colon', 'Transfer-Encoding : chunked'],
    ['a header over two lines', 'X: a\r\n Transfer-Encoding: chunked'],
    ['a bare line feed', 'X: a\nTransfer-Encoding: chunked'],
    ['a bare carriage return', 'X: a\rTransfer-Encoding: chunked'],
    ['a NUL in a header', 'X: a\0b'],
  ])('%s → refused, nothing goes on', async (_what, header) => {
    const { port } = await open();
    const bytes = lines(`POST http://${up()}/ HTTP/1.1`, `Host: ${up()}`, credentials(), header);
    const said = await send(port, `${bytes}0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n`);
    expect(said).toMatch(/^HTTP\/1\.1 400 /);
    expect(arrived.map(({ headers }) => headers)).toEqual([]);
  });

  test('a body that holds a request → goes on as a body, once', async () => {
    const { port } = await open();
    const body = `GET http://${up()}/smuggled HTTP/1.1\r\n\r\n`;
    const head = [`POST http://${up()}/ HTTP/1.1`, `Host: ${up()}`, credentials(), CLOSE];
    await send(port, lines(...head, `Content-Length: ${body.length}`) + body);
    expect(bodies).toEqual([body]);
    expect(arrived.map(({ url }) => url)).toEqual(['/']);
  });

  test('requests one behind the other → each is checked by itself, answered in turn', async () => {
    const { port } = await open();
    const to = (url: string, ...more: readonly string[]) => lines(`GET ${url} HTTP/1.1`, ...more);
    const said = await send(
      port,
      to(`http://${up()}/1`, 'Host: x', credentials()) +
        to('http://evil.test/2', 'Host: x', credentials(), CLOSE),
    );
    expect(said.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 403']);
    expect(arrived.map(({ url }) => url)).toEqual(['/1']);
  });

  test('a second one without a token → is not the first one’s', async () => {
    const { port } = await open();
    const first = lines(`GET http://${up()}/1 HTTP/1.1`, 'Host: x', credentials());
    const second = lines(`GET http://${up()}/2 HTTP/1.1`, 'Host: x', CLOSE);
    expect((await send(port, first + second)).match(/HTTP\/1\.1 \d+/g)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 407',
    ]);
    expect(arrived.map(({ url }) => url)).toEqual(['/1']);
  });
});

describe('a host that is written in another way', () => {
  test.each([
    'up.test\0.evil.test:1',
    'user@up.test:1',
    'up.test:1@evil.test:1',
    '127.1:80',
    '0x7f000001:80',
    '2130706433:80',
    'up.t\xe9st:1',
    'up%2etest:1',
    'http://up.test:1',
  ])('CONNECT %j → refused', async (target) => {
    const { port, resolved } = await open();
    const said = await send(port, lines(`CONNECT ${target} HTTP/1.1`, 'Host: x', credentials()));
    expect(said).toMatch(/^HTTP\/1\.1 400 /);
    expect(resolved).toEqual([]);
  });

  test.each(['UP.TEST', 'up.test.'])('%s → is the same', async (name) => {
    const { port, resolved } = await open();
    const url = `http://${name}:${upstreamPort}/`;
    await send(port, lines(`GET ${url} HTTP/1.1`, 'Host: x', credentials(), CLOSE));
    expect(resolved).toEqual(['up.test']);
    expect(arrived[0]?.headers.host).toBe(up());
  });

  test('the Host header names another → the target counts, and is told to the upstream', async () => {
    const { port } = await open();
    const to = (url: string, host: string) =>
      send(port, lines(`GET ${url} HTTP/1.1`, `Host: ${host}`, credentials(), CLOSE));
    expect(await to(`http://${up()}/`, 'evil.test')).toMatch(/ 200 /);
    expect(await to('http://evil.test/', up())).toMatch(/ 403 host evil\.test is not/);
    expect(arrived.map(({ headers }) => headers.host)).toEqual([up()]);
  });

  test('two Host headers, a target that is a path → refused', async () => {
    const { port } = await open();
    const first = lines(`GET / HTTP/1.1`, `Host: ${up()}`, credentials(), CLOSE);
    expect(await send(port, first)).toMatch(/ 400 this is a proxy/);
    const second = lines(`GET / HTTP/1.1`, `Host: ${up()}`, 'Host: x', credentials(), CLOSE);
    expect(await send(port, second)).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('headers of the connection, and those it names → do not go on', async () => {
    const { port } = await open();
    const head = [`GET http://${up()}/ HTTP/1.1`, 'Host: x', credentials()];
    const hop = ['Connection: close, X-Hop', 'X-Hop: 1', 'Upgrade: h2c', 'TE: trailers'];
    await send(port, lines(...head, ...hop, 'Proxy-Connection: keep-alive', 'X-Kept: 1'));
    expect(arrived[0]?.headers).toEqual({ host: up(), 'x-kept': '1', connection: 'close' });
  });
});

describe('where a name leads', () => {
  test('it changes after the check → what was checked is dialled', async () => {
    let asked = 0;
    const answers = () => [asked++ === 0 ? '127.0.0.1' : '127.0.0.9'];
    const { port, resolved } = await open({ answers });
    const said = await send(port, lines(`CONNECT ${up()} HTTP/1.1`, credentials(), ''));
    expect(said).toMatch(/ 200 Connection established/);
    expect(resolved).toEqual(['up.test']);
  });

  test.each([
    ['one that is private', ['10.0.0.1']],
    ['metadata', ['169.254.169.254']],
    ['version 4 in version 6', ['::ffff:127.0.0.1']],
    ['this machine', ['::1']],
  ])('to %s → refused, by a tunnel and without', async (_what, addresses) => {
    const { port } = await open({ answers: () => addresses });
    const tunnel = await send(port, lines(`CONNECT ${up()} HTTP/1.1`, credentials()));
    expect(tunnel).toMatch(/^HTTP\/1\.1 403 host up\.test leads to no public address/);
    const get = lines(`GET http://${up()}/ HTTP/1.1`, 'Host: x', credentials(), CLOSE);
    expect(await send(port, get)).toMatch(/^HTTP\/1\.1 403 host up\.test leads to no public/);
    expect(log.map(({ reason }) => reason)).toEqual(['address-not-public', 'address-not-public']);
  });

  test('to private ones and a public one → only that is dialled', async () => {
    const privateNetworks = toBlockList(['127.0.0.1/32']);
    const answers = () => ['127.0.0.2', '10.0.0.1', '127.0.0.1'];
    const { port } = await open({ answers, privateNetworks });
    const get = lines(`GET http://${up()}/ HTTP/1.1`, 'Host: x', credentials(), CLOSE);
    expect(await send(port, get)).toMatch(/ 200 /);
  });

  test('nowhere, or where nobody listens → 502 in words', async () => {
    const hosts = ['none.test', '127.0.0.1:1'];
    const { port } = await open({
      answers: () => {
        throw Object.assign(new Error('none'), { code: 'ENOTFOUND' });
      },
    });
    const to = (target: string) =>
      send(port, lines(`CONNECT ${target} HTTP/1.1`, credentials({ hosts })));
    expect(await to('none.test:443')).toMatch(
      / 502 host none\.test cannot be resolved \(ENOTFOUND\)/,
    );
    expect(await to('127.0.0.1:1')).toMatch(
      / 502 host 127\.0\.0\.1 cannot be reached on port 1 \(ECONNREFUSED\)/,
    );
  });
});

describe('a body that waits to be asked for', () => {
  const head = (url: string) =>
    lines(
      `PUT ${url} HTTP/1.1`,
      'Host: x',
      credentials(),
      CLOSE,
      'Content-Length: 4',
      'Expect: 100-continue',
    );

  test('its host is not allowed → is not asked for', async () => {
    const { port } = await open();
    expect(await send(port, head('http://evil.test/'))).toMatch(/^HTTP\/1\.1 403 /);
  });

  test('its host is allowed → is asked for once', async () => {
    const { port } = await open();
    const said = await send(port, `${head(`http://${up()}/`)}body`);
    expect(said.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200']);
    expect(bodies).toEqual(['body']);
  });
});

describe('a client that does not read', () => {
  const OFFERED_BYTES = 512 * 1024 * 1024;

  /** An upstream that says more than anybody should hold. */
  async function flood(first: string): Promise<{ readonly port: number; taken(): number }> {
    const sockets: Socket[] = [];
    let taken = 0;
    const server = createTcpServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.write(first);
      const chunk = Buffer.alloc(1024 * 1024);
      const say = (): void => {
        if (taken >= OFFERED_BYTES || socket.destroyed) return;
        socket.write(chunk, () => {
          taken += chunk.length;
          say();
        });
      };
      say();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return { port: (server.address() as AddressInfo).port, taken: () => taken };
  }

  test.each([
    ['a tunnel', 'CONNECT', (host: string) => host, ''],
    ['a plain request', 'GET', (host: string) => `http://${host}/`, 'HTTP/1.1 200 OK\r\n\r\n'],
  ])('%s → the upstream is not read either', async (_what, method, url, first) => {
    const upstream = await flood(first);
    const host = `up.test:${upstream.port}`;
    const { port } = await open();
    const client = connect(port, '127.0.0.1');
    closing.push(async () => void client.destroy());
    client.write(
      lines(`${method} ${url(host)} HTTP/1.1`, 'Host: x', credentials({ hosts: [host] })),
    );
    await waitFor('the upstream to be read', () => upstream.taken() > 0);
    let last = { taken: -1, at: performance.now() };
    await waitFor('it to be read no more', () => {
      const taken = upstream.taken();
      if (taken !== last.taken) last = { taken, at: performance.now() };
      return performance.now() - last.at > 1_000;
    });
    // Sockets on the way hold some megabytes.
    expect(upstream.taken()).toBeLessThan(OFFERED_BYTES / 8);
  });
});

describe('limits', () => {
  /** A tunnel that stays open, to an upstream that says what it hears. */
  async function echo(): Promise<{ readonly port: number; readonly sockets: Socket[] }> {
    const sockets: Socket[] = [];
    const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return { port: (server.address() as AddressInfo).port, sockets };
  }

  async function tunnelTo(proxyPort: number, targetPort: number, hand = 'hand-1') {
    const socket = connect(proxyPort, '127.0.0.1');
    closing.push(async () => void socket.destroy());
    socket.on('error', () => {});
    const hosts = [`up.test:${targetPort}`];
    socket.write(lines(`CONNECT up.test:${targetPort} HTTP/1.1`, credentials({ hosts, hand })));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return { socket, answer: answer.toString() };
  }

  test('one hand has as many connections as it may → 429, and another hand goes on', async () => {
    const { port: target } = await echo();
    const { port } = await open({ mostPerHand: 2 });
    const first = await tunnelTo(port, target);
    await tunnelTo(port, target);
    expect((await tunnelTo(port, target)).answer).toMatch(
      /^HTTP\/1\.1 429 this hand has 2 connections open, the most it may/,
    );
    first.socket.destroy();
    await waitFor('one to be free', async () => {
      const { answer, socket } = await tunnelTo(port, target);
      socket.destroy();
      return answer.includes(' 200 ');
    });
    expect((await tunnelTo(port, target, 'hand-2')).answer).toMatch(/ 200 /);
  });

  test('connections that say nothing → closed, at a number and after a time', async () => {
    const { port } = await open({ mostPerHand: 2, headersMs: 500 });
    const silent = Array.from({ length: 5 }, () => connect(port, '127.0.0.1'));
    for (const socket of silent) socket.on('error', () => {});
    await once(silent[4] as Socket, 'close');
    expect(silent.filter(({ closed }) => !closed)).toHaveLength(4);
    for (const socket of silent) socket.resume();
    await waitFor('all to be closed', () => silent.every(({ closed }) => closed));
  });

  test('a head that is too large → 431', async () => {
    const { port } = await open();
    const bytes = lines(`GET http://${up()}/ HTTP/1.1`, `X: ${'x'.repeat(70_000)}`);
    expect(await send(port, bytes)).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('the longest list of hosts → fits a head', async () => {
    const { port } = await open();
    const hosts = [
      up(),
      ...Array.from(
        { length: 28 },
        (_, index) => `${'x'.repeat(63)}.${'y'.repeat(63)}.${'z'.repeat(63)}.x${index}.example.com`,
      ),
    ];
    const head = [`GET http://${up()}/ HTTP/1.1`, 'Host: x', credentials({ hosts }), CLOSE];
    expect(hosts.join().length).toBeGreaterThan(5_000);
    expect(await send(port, lines(...head))).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('silence in both directions → closed; a word in one keeps it', async () => {
    const { port: target, sockets } = await echo();
    const { port } = await open({ idleMs: 1_000 });
    const { socket } = await tunnelTo(port, target);
    socket.resume();
    const start = performance.now();
    const talking = setInterval(() => sockets[0]?.write('x'), 200);
    setTimeout(() => clearInterval(talking), 2_000);
    await once(socket, 'close');
    expect(performance.now() - start).toBeGreaterThan(2_500);
    await waitFor('the upstream to be closed too', () => sockets[0]?.closed);
  });

  test('one side ends → what the other still says arrives', async () => {
    const { port: target } = await echo();
    const { port } = await open();
    const { socket } = await tunnelTo(port, target);
    let said = '';
    socket.on('data', (chunk) => {
      said += String(chunk);
    });
    socket.end('last words');
    await once(socket, 'close');
    expect(said).toBe('last words');
  });

  test('the upstream resets → so does the tunnel, and the proxy lives', async () => {
    const { port: target, sockets } = await echo();
    const { port } = await open();
    const { socket } = await tunnelTo(port, target);
    sockets[0]?.resetAndDestroy();
    await once(socket, 'close');
    expect((await tunnelTo(port, target)).answer).toMatch(/ 200 /);
  });
});
