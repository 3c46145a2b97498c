import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createGuardedFetch, type GuardedFetchOptions } from '../../dial/guarded-fetch.ts';
import { toBlockList } from '../../dial/public-addresses.ts';

const LOOPBACK = toBlockList(['127.0.0.0/8']);
const NONE = toBlockList([]);

let origin: string;
let received: string[];
/** Where requests came in. */
let dialled: string[];
let server: ReturnType<typeof createServer>;
beforeEach(async () => {
  received = [];
  dialled = [];
  server = createServer((request, response) => {
    dialled.push(request.socket.localAddress ?? '');
    void text(request).then((body) => {
      received.push(`${request.method} ${request.url} ${request.headers['x-test'] ?? ''} ${body}`);
      if (request.url === '/redirect') response.writeHead(302, { location: `${origin}/there` });
      if (request.url === '/nothing') response.writeHead(204);
      response.end(request.url === '/nothing' ? undefined : 'heard');
    });
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** Names lead where a test says, one answer after the other. */
function resolvingTo(...answers: readonly (readonly string[])[]) {
  const left = [...answers];
  const asked: string[] = [];
  const lookup = (name: string, _options: unknown, done: (...args: unknown[]) => void) => {
    asked.push(name);
    const addresses = left.length > 1 ? left.shift() : left[0];
    done(
      null,
      addresses?.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
  return { asked, lookup: lookup as unknown as NonNullable<GuardedFetchOptions['lookup']> };
}

test('an address that is allowed → a request and its answer, whole', async () => {
  const fetch = createGuardedFetch({ privateNetworks: LOOPBACK });
  const response = await fetch(`${origin}/here?a=b`, {
    method: 'POST',
    headers: { 'x-test': 'yes' },
    body: new URLSearchParams({ c: 'd' }),
  });
  expect(response.status).toBe(200);
  expect(await response.text()).toBe('heard');
  expect(received).toEqual(['POST /here?a=b yes c=d']);
  expect((await fetch(`${origin}/nothing`)).status).toBe(204);
});

test.each([
  'http://127.0.0.1:9/',
  'https://127.0.0.1:9/',
  'https://2130706433:9/',
  'https://0x7f.1:9/',
  'https://[::1]:9/',
  'https://[::ffff:127.0.0.1]:9/',
  'https://169.254.169.254/latest/meta-data',
  'https://10.0.0.1/',
  'http://93.184.216.34/',
])('%s, allowed by nobody → refused before anything is sent', async (url) => {
  const fetch = createGuardedFetch({ privateNetworks: NONE });
  await expect(fetch(url)).rejects.toMatchObject({ name: 'AddressRefusedError' });
});

test('a name that leads to a private address → refused', async () => {
  const { lookup, asked } = resolvingTo(['169.254.169.254', '10.1.1.1', '::1']);
  const fetch = createGuardedFetch({ privateNetworks: NONE, lookup });
  await expect(fetch('https://inside.example/')).rejects.toThrow(
    'host inside.example leads to no public address',
  );
  expect(asked).toEqual(['inside.example']);
});

test('a name with a private address among public ones → only the others are dialled', async () => {
  const port = new URL(origin).port;
  const { lookup } = resolvingTo(['127.0.0.2', '127.0.0.1']);
  const fetch = createGuardedFetch({ privateNetworks: toBlockList(['127.0.0.1/32']), lookup });
  expect(await (await fetch(`http://both.example:${port}/`)).text()).toBe('heard');
  expect(dialled).toEqual(['127.0.0.1']);
});

test('a name that leads elsewhere a moment later → each connection is checked', async () => {
  const port = new URL(origin).port;
  const { lookup, asked } = resolvingTo(['127.0.0.1'], ['169.254.169.254']);
  const fetch = createGuardedFetch({ privateNetworks: LOOPBACK, lookup });
  const response = await fetch(`http://moving.example:${port}/`, {
    headers: { connection: 'close' },
  });
  await response.text();
  server.closeAllConnections();
  await expect(fetch(`http://moving.example:${port}/`)).rejects.toMatchObject({
    name: 'AddressRefusedError',
  });
  expect(asked).toHaveLength(2);
  expect(received).toHaveLength(1);
});

test('a redirect → told, not followed', async () => {
  const fetch = createGuardedFetch({ privateNetworks: LOOPBACK });
  const response = await fetch(`${origin}/redirect`);
  expect(response.status).toBe(302);
  expect(received).toHaveLength(1);
});

test('a caller that gives up → no answer, and the connection ends', async () => {
  server.removeAllListeners('request');
  const fetch = createGuardedFetch({ privateNetworks: LOOPBACK });
  await expect(fetch(origin, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
    name: expect.stringMatching(/AbortError|TimeoutError/),
  });
});
