import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { HOST, OTHER, useVariableGateway, VARIABLE } from '../support/variable-gateway.ts';
import { waitFor } from '../support/wait-for.ts';

// The gateway takes the place of a host: of that one, by HTTP/1.1, and of no other.

const gateway = useVariableGateway();

describe('who takes another host for the tunnel', () => {
  test('by the name of TLS → no handshake', async () => {
    await expect(gateway.openTls({ serverName: OTHER })).rejects.toThrow();
    expect(gateway.log.at(-1)).toMatchObject({ reason: 'protocol', host: HOST });
  });

  test('HTTP/2 alone → no handshake', async () => {
    await expect(gateway.openTls({ protocols: ['h2'] })).rejects.toThrow(
      /no_application_protocol|alert/i,
    );
  });

  test.each([
    ['another Host header', `GET / HTTP/1.1\r\nHost: ${OTHER}\r\n\r\n`, '421 '],
    ['another port', `GET / HTTP/1.1\r\nHost: ${HOST}:1\r\n\r\n`, '421 '],
    ['two Host headers', `GET / HTTP/1.1\r\nHost: ${HOST}\r\nHost: ${OTHER}\r\n\r\n`, '400 '],
    ['a whole URL', `GET http://${OTHER}/ HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`, '400 '],
    ['a tunnel in it', `CONNECT ${OTHER}:1 HTTP/1.1\r\nHost: ${OTHER}:1\r\n\r\n`, '400 a tunnel'],
    [
      'a length and chunks',
      `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      '400 the request cannot be read',
    ],
    [
      'another coding of the body',
      `POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
      '400 ',
    ],
    [
      'a WebSocket',
      `GET / HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      '501 host api.test is one of a variable',
    ],
    ['HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '4'],
    ['no HTTP', 'SSH-2.0-test\r\n\r\n', '400 the request cannot be read'],
  ])('%s → refused in words', async (_what, bytes, words) => {
    const tls = await gateway.openTls();
    tls.write(bytes.replace('HOST', `${HOST}:${gateway.tlsPort}`));
    const [head] = (await once(tls, 'data')) as [Buffer];
    expect(head.toString()).toContain(`HTTP/1.1 ${words}`);
    expect(gateway.heard).toEqual([]);
    tls.destroy();
  });

  test('a tunnel that is plain to no HTTP server → refused in words', async () => {
    const { socket } = await gateway.openTunnel({ port: 22 });
    socket.write('SSH-2.0-test\r\n');
    expect(await text(socket)).toContain('400 the request cannot be read');
  });
});

test('a host that does not prove who it is → refused in words, before anything is said', async () => {
  const { status, body } = await gateway.ask({ host: `x.${HOST}` });
  expect(status).toBe(502);
  expect(body).toContain(`host x.${HOST} does not prove by TLS that it is that host`);
  expect(gateway.heard).toEqual([]);
});

test('a variable for every host, an IPv6 address → refused in words', async () => {
  const token = gateway.credentialsOf({ variables: [{ ...VARIABLE, hosts: null }] });
  const { socket, status } = await gateway.openTunnel({ host: '[2606:4700::1111]', token });
  socket.destroy();
  expect(status).toBe(403);
  expect(gateway.log.at(-1)).toMatchObject({
    words: 'a hand with variables for every host reaches none by its IPv6 address: use its name',
  });
});

test('the token ends while a tunnel is open → refused from then on', async () => {
  const expires = Math.floor(Date.now() / 1000) + 3;
  const tls = await gateway.openTls({ token: gateway.credentialsOf({ expires }) });
  await text(await gateway.askOn(tls, { headers: { Connection: 'keep-alive' } }));
  expect(gateway.heard).toHaveLength(1);
  await waitFor('the token to end', () => Date.now() / 1000 > expires);
  const response = await gateway.askOn(tls);
  expect(response.statusCode).toBe(403);
  expect(await text(response)).toContain('the token of this hand has expired');
  tls.destroy();
});

test('its name leads elsewhere from one request to the next → refused there', async () => {
  const tls = await gateway.openTls();
  await text(await gateway.askOn(tls, { headers: { Connection: 'keep-alive' } }));
  for (const address of ['169.254.169.254', '10.0.0.1']) {
    gateway.address = address;
    const again = await gateway.ask();
    expect(again).toMatchObject({
      status: 403,
      body: `403 host ${HOST} leads to no public address\n`,
    });
  }
  const response = await gateway.askOn(tls);
  expect(response.statusCode).toBe(403);
  tls.destroy();
  expect(gateway.heard).toHaveLength(1);
});
