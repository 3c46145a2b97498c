import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { describe, expect, test } from 'vitest';
import {
  HOST,
  OTHER,
  PLACEHOLDER,
  useVariableGateway,
  VALUE,
  VARIABLE,
} from '../support/variable-gateway.ts';

// The gateway puts values into requests to the hosts of a variable, and to no others.

const gateway = useVariableGateway();

describe('what goes to a host of the variable', () => {
  test('in a header → has the value; the answer has the placeholder', async () => {
    const { body } = await gateway.ask({ headers: { 'X-Key': `a ${PLACEHOLDER}` } });
    expect(gateway.heard[0]?.headers['x-key']).toBe(`a ${VALUE}`);
    expect(JSON.parse(body).headers['x-key']).toBe(`a ${PLACEHOLDER}`);
  });

  test('within basic credentials → has the value, encoded; and the answer does not', async () => {
    const basic = (password: string) =>
      `Basic ${Buffer.from(`user:${password}`).toString('base64')}`;
    const { body } = await gateway.ask({ headers: { Authorization: basic(PLACEHOLDER) } });
    expect(gateway.heard[0]?.headers.authorization).toBe(basic(VALUE));
    const back = Buffer.from(JSON.parse(body).headers.authorization.slice(6), 'base64').toString();
    expect(back).toContain('user:');
    expect(back).not.toContain(VALUE.slice(1, -1));
  });

  test.each([
    ['text', 'text/plain', (text: string) => `a=${text};`, `a=${VALUE};`],
    [
      'JSON → stays JSON',
      'application/json; charset=utf-8',
      (text: string) => JSON.stringify({ text }),
      JSON.stringify({ text: VALUE }),
    ],
    [
      'a form → stays a form',
      'application/x-www-form-urlencoded',
      (text: string) => new URLSearchParams({ text, last: '1' }).toString(),
      `text=${encodeURIComponent(VALUE)}&last=1`,
    ],
  ])('in a body, %s', async (_what, type, write, expected) => {
    const { body } = await gateway.ask({
      headers: { 'Content-Type': type },
      body: write(PLACEHOLDER),
    });
    expect(gateway.heard[0]?.body).toBe(expected);
    expect(gateway.heard[0]?.headers['content-length']).toBe(String(Buffer.byteLength(expected)));
    expect(body).not.toContain(VALUE);
    expect(JSON.parse(JSON.parse(body).body === undefined ? 'null' : 'true')).toBe(true);
  });

  test('in a body in chunks, cut anywhere → is put together', async () => {
    for (let cut = 1; cut < PLACEHOLDER.length; cut += 7) {
      gateway.heard = [];
      const parts = [`before ${PLACEHOLDER.slice(0, cut)}`, `${PLACEHOLDER.slice(cut)} after`];
      await gateway.ask({ headers: { 'Transfer-Encoding': 'chunked' }, body: parts });
      expect(gateway.heard[0]?.body).toBe(`before ${VALUE} after`);
      expect(gateway.heard[0]?.headers['transfer-encoding']).toBe('chunked');
    }
  });

  test('a large body with its length → goes in chunks, whole', async () => {
    const filling = 'x'.repeat(400_000);
    await gateway.ask({
      headers: { 'Content-Length': String(filling.length + PLACEHOLDER.length) },
      body: [filling, PLACEHOLDER],
    });
    expect(gateway.heard[0]?.body).toBe(`${filling}${VALUE}`);
    expect(gateway.heard[0]?.headers['content-length']).toBeUndefined();
  });

  test('a body that is compressed, the path → go as they are', async () => {
    await gateway.ask({
      path: `/?q=${PLACEHOLDER}`,
      headers: { 'Content-Encoding': 'x-test' },
      body: PLACEHOLDER,
    });
    expect(gateway.heard[0]).toMatchObject({ url: `/?q=${PLACEHOLDER}`, body: PLACEHOLDER });
  });

  test.each([
    ['header', { header: true, body: false }, VALUE, PLACEHOLDER],
    ['body', { header: false, body: true }, PLACEHOLDER, VALUE],
  ])(
    'only in the %s, as the hand was given → there alone',
    async (_where, where, inHeader, inBody) => {
      const token = gateway.credentialsOf({ variables: [{ ...VARIABLE, ...where }] });
      await gateway.ask({ token, headers: { 'X-Key': PLACEHOLDER }, body: PLACEHOLDER });
      expect(gateway.heard[0]).toMatchObject({ headers: { 'x-key': inHeader }, body: inBody });
    },
  );

  test('since then the credential was narrowed → it counts', async () => {
    gateway.auth = { injection_location: { header: false, body: true } };
    await gateway.ask({ headers: { 'X-Key': PLACEHOLDER } });
    gateway.auth = { networking: { type: 'limited', allowed_hosts: [OTHER] } };
    await gateway.ask({ headers: { 'X-Key': PLACEHOLDER } });
    expect(gateway.heard.map(({ headers }) => headers['x-key'])).toEqual([
      PLACEHOLDER,
      PLACEHOLDER,
    ]);
  });

  test('below its name, where it covers that → has the value', async () => {
    await gateway.ask({ host: `sub.${HOST}`, headers: { 'X-Key': PLACEHOLDER } });
    expect(gateway.heard[0]?.headers['x-key']).toBe(VALUE);
  });

  test('by plain HTTP, and by a tunnel with plain HTTP in it → has the value, answered without', async () => {
    const host = `${HOST}:${gateway.plainPort}`;
    const lines = (target: string, more: string) =>
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nX-Key: ${PLACEHOLDER}\r\nConnection: close\r\n${more}\r\n`;
    const plain = gateway.dial();
    plain.write(lines(`http://${host}/`, `Proxy-Authorization: ${gateway.credentialsOf()}\r\n`));
    const { socket } = await gateway.openTunnel({ port: gateway.plainPort });
    socket.write(lines('/', ''));
    for (const answered of [await text(plain), await text(socket)]) {
      expect(answered).toContain('HTTP/1.1 200');
      expect(answered).toContain(PLACEHOLDER);
      expect(answered).not.toContain('c4n4ry');
    }
    expect(gateway.heard.map(({ headers }) => headers['x-key'])).toEqual([VALUE, VALUE]);
  });

  test('several requests on one tunnel → each is written anew', async () => {
    const tls = await gateway.openTls();
    for (const key of ['first', 'second']) {
      const request = httpsRequest({
        createConnection: () => tls,
        host: HOST,
        port: gateway.tlsPort,
        headers: { 'X-Key': `${key} ${PLACEHOLDER}`, Connection: 'keep-alive' },
      });
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      await text(response);
    }
    tls.destroy();
    expect(gateway.heard.map(({ headers }) => headers['x-key'])).toEqual([
      `first ${VALUE}`,
      `second ${VALUE}`,
    ]);
  });
});

describe('what goes to another host', () => {
  test('allowed by the environment → has the placeholder, and its TLS is its own', async () => {
    const { socket } = await gateway.openTunnel({ host: OTHER });
    const tls = connectTls({ socket, servername: OTHER, ca: gateway.upstreamAuthority });
    await once(tls, 'secureConnect');
    tls.write(
      `GET / HTTP/1.1\r\nHost: ${OTHER}\r\nX-Key: ${PLACEHOLDER}\r\nConnection: close\r\n\r\n`,
    );
    await text(tls);
    expect(gateway.heard[0]?.headers['x-key']).toBe(PLACEHOLDER);
  });

  test('by plain HTTP → has the placeholder', async () => {
    const plain = gateway.dial();
    const host = `${OTHER}:${gateway.plainPort}`;
    plain.write(
      `GET http://${host}/ HTTP/1.1\r\nHost: ${HOST}\r\nX-Key: ${PLACEHOLDER}\r\nConnection: close\r\n` +
        `Proxy-Authorization: ${gateway.credentialsOf()}\r\n\r\n`,
    );
    await text(plain);
    expect(gateway.heard[0]?.headers).toMatchObject({ host, 'x-key': PLACEHOLDER });
  });

  test('not allowed by the environment, though the variable names it → refused', async () => {
    const token = gateway.credentialsOf({ hosts: [OTHER] });
    expect((await gateway.openTunnel({ token })).status).toBe(403);
    expect(gateway.heard).toEqual([]);
  });
});
