import { request } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CodecServer, serveCodec } from '../../codec/codec-server.ts';
import { createReaderCodec } from '../../codec/payload-codec.ts';
import { createKeyRings, type KeyRings } from '../support/key-rings.ts';

const ORIGIN = 'http://localhost:8233';
const PAYLOAD = {
  metadata: { encoding: Buffer.from('json/plain').toString('base64') },
  data: Buffer.from('"the planted word"').toString('base64'),
};

let rings: KeyRings;
let server: CodecServer;

beforeEach(async () => {
  rings = await createKeyRings();
});
afterEach(async () => {
  await server.close();
  await rings.remove();
});

async function serve(token: string | null = null): Promise<void> {
  const codec = createReaderCodec(rings.one);
  server = await serveCodec({ codec, host: '127.0.0.1', port: 0, origins: [ORIGIN], token });
}

function ask(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

test('what is encoded is encrypted, and decodes as it was; what is not encrypted passes', async () => {
  await serve();
  const encoded = (await (await ask('/encode', { payloads: [PAYLOAD] })).json()) as {
    payloads: (typeof PAYLOAD)[];
  };
  const [payload] = encoded.payloads;
  expect(Buffer.from(payload?.metadata.encoding ?? '', 'base64').toString()).toBe(
    'binary/encrypted',
  );
  expect(Buffer.from(payload?.data ?? '', 'base64').toString('latin1')).not.toContain('planted');
  const decoded = await ask('/decode', { payloads: [...encoded.payloads, PAYLOAD] });
  expect(await decoded.json()).toEqual({ payloads: [PAYLOAD, PAYLOAD] });
});

test('one that cannot be read → words in its place, the others are read', async () => {
  await serve();
  const [strange] = await createReaderCodec(rings.other).encode([{ data: Buffer.from('x') }]);
  const metadata = Object.fromEntries(
    Object.entries(strange?.metadata ?? {}).map(([name, value]) => [
      name,
      Buffer.from(value).toString('base64'),
    ]),
  );
  const data = Buffer.from(strange?.data ?? []).toString('base64');
  const answer = await ask('/decode', { payloads: [{ metadata, data }, PAYLOAD] });
  const { payloads } = (await answer.json()) as { payloads: (typeof PAYLOAD)[] };
  expect(Buffer.from(payloads[0]?.data ?? '', 'base64').toString()).toMatch(/is another one/);
  expect(payloads[1]).toEqual(PAYLOAD);
});

test('the Web UI’s page may ask; a page of anybody else’s may not', async () => {
  await serve();
  const preflight = await fetch(`${server.url}/decode`, {
    method: 'OPTIONS',
    headers: {
      origin: ORIGIN,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,x-namespace,authorization',
    },
  });
  expect(preflight.status).toBe(204);
  expect(Object.fromEntries(preflight.headers)).toMatchObject({
    'access-control-allow-origin': ORIGIN,
    'access-control-allow-methods': expect.stringContaining('POST'),
    'access-control-allow-headers': 'content-type,x-namespace,authorization',
  });
  const allowed = await ask('/decode', { payloads: [PAYLOAD] }, { origin: ORIGIN });
  expect(allowed.headers.get('access-control-allow-origin')).toBe(ORIGIN);
  const strange = await ask('/decode', { payloads: [PAYLOAD] }, { origin: 'http://evil.example' });
  expect(strange.status).toBe(403);
  expect(strange.headers.get('access-control-allow-origin')).toBeNull();
  expect(await strange.text()).toContain('--origin http://evil.example');
});

test.each<[string | undefined, number]>([
  [undefined, 401],
  ['Bearer wrong', 401],
  ['0123456789abcdef', 401],
  ['Bearer 0123456789abcdef', 200],
])('with a token, authorization %s → %d', async (authorization, status) => {
  await serve('0123456789abcdef');
  const answer = await ask(
    '/decode',
    { payloads: [PAYLOAD] },
    authorization === undefined ? {} : { authorization },
  );
  expect(answer.status).toBe(status);
  expect(await answer.text()).not.toContain('0123456789abcdef');
});

test.each<[string, string, unknown, number]>([
  ['another path', '/keys', { payloads: [] }, 404],
  ['no JSON', '/decode', '{"payloads": [', 400],
  ['no payloads', '/decode', { payloads: 'x' }, 400],
  ['an empty list', '/decode', { payloads: [] }, 200],
  ['a path before it', '/default/decode', { payloads: [PAYLOAD] }, 200],
])('%s → %s', async (_name, path, body, status) => {
  await serve();
  expect((await ask(path, body)).status).toBe(status);
});

test('more than a page of a history, as announced → refused unread', async () => {
  await serve();
  expect(await send({ 'content-length': String(100 * MIB) }, 0)).toBe(413);
});

test('more than a page of a history, unannounced → cut off', async () => {
  await serve();
  expect(await send({}, 70)).toBeOneOf([413, 'EPIPE', 'ECONNRESET']);
});

const MIB = 1024 * 1024;

/** What comes of sending so many MiB: a status, or the code of an error. */
function send(headers: Record<string, string>, mebibytes: number): Promise<unknown> {
  return new Promise((resolve) => {
    const sending = request(`${server.url}/decode`, { method: 'POST', headers }, (response) => {
      resolve(response.statusCode);
      sending.destroy();
    });
    sending.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    sending.flushHeaders();
    const chunk = Buffer.alloc(MIB, ' ');
    const write = (left: number): void => {
      if (left > 0) sending.write(chunk, () => write(left - 1));
      else if (mebibytes > 0) sending.end();
    };
    write(mebibytes);
  });
}
