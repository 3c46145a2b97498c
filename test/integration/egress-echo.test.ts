import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  HOST,
  OTHER,
  PLACEHOLDER,
  useVariableGateway,
  VALUE,
} from '../support/variable-gateway.ts';

// Servers that say again what they hear: the sandbox is told nothing by them.

const gateway = useVariableGateway();

const FORMS: readonly (readonly [string, (text: string) => string])[] = [
  ['plain', (text) => text],
  ['URL-encoded', encodeURIComponent],
  ['as a form', (text) => new URLSearchParams({ q: text }).toString()],
  ['in JSON', (text) => JSON.stringify({ text })],
  ['in HTML', (text) => text.replaceAll('"', '&quot;')],
  ['in hexadecimal', (text) => Buffer.from(text).toString('hex')],
  ['in base64', (text) => Buffer.from(text).toString('base64')],
  ['in base64 after one byte', (text) => Buffer.from(`a${text}b`).toString('base64')],
  ['in base64 after two bytes', (text) => Buffer.from(`ab${text}`).toString('base64')],
  ['in base64 of URLs', (text) => Buffer.from(text).toString('base64url')],
];

describe('a server that says the value again', () => {
  const middle = VALUE.slice(1, -1);
  const isHidden = (text: string) => {
    expect(text).not.toContain(middle);
    for (const decoded of [decodeURIComponent(text), text.replaceAll('&quot;', '"')]) {
      expect(decoded).not.toContain(middle);
    }
    for (const encoded of text.match(/[\w+/-]{12,}/g) ?? []) {
      expect(Buffer.from(encoded, 'base64').toString()).not.toContain(middle);
      expect(Buffer.from(encoded, 'hex').toString()).not.toContain(middle);
    }
  };

  test.each(FORMS)('%s, in its body and headers → is not understood', async (_form, encode) => {
    gateway.answer = (response) => {
      response.setHeader('X-Echo', encode(VALUE));
      response.writeHead(200, 'OK');
      response.end(`<${encode(VALUE)}>`);
    };
    const { headers, body } = await gateway.ask();
    expect(body).toContain('<');
    isHidden(String(headers['x-echo']));
    isHidden(body.replace(/[<>]/g, ' '));
  });

  test('a byte at a time → is not understood', async () => {
    gateway.answer = async (response) => {
      for (const character of `say ${VALUE}, again`) {
        response.write(character);
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    };
    expect((await gateway.ask()).body).toBe(`say ${PLACEHOLDER}, again`);
  });

  test('as a name of a header, a reason, a redirect, a cookie → is not understood', async () => {
    const word = 'c4n4ryV4lueOfOneWord';
    gateway.value = word;
    gateway.answer = (response) => {
      response.writeHead(302, `Go ${word}`, {
        [`X-${word}`]: '1',
        Location: `https://${OTHER}/?token=${word}`,
        'Set-Cookie': [`a=${word}`, `b=${word}`],
      });
      response.end();
    };
    const { statusText, headers } = await gateway.ask();
    expect(statusText).toBe(`Go ${PLACEHOLDER}`);
    expect(headers.location).toBe(`https://${OTHER}/?token=${PLACEHOLDER}`);
    expect(JSON.stringify(headers)).not.toContain(word.toLowerCase());
    expect(JSON.stringify(headers)).not.toContain(word);
  });

  test('it is asked for nothing compressed, and for no part', async () => {
    await gateway.ask({
      headers: { 'Accept-Encoding': 'gzip', Range: 'bytes=0-3', 'If-Range': 'x' },
    });
    expect(gateway.heard[0]?.headers).toMatchObject({ 'accept-encoding': 'identity' });
    expect(gateway.heard[0]?.headers).not.toHaveProperty('range');
    expect(gateway.heard[0]?.headers).not.toHaveProperty('if-range');
  });

  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ])('compressed all the same, by %s → is read', async (coding, compress) => {
    gateway.answer = (response) => {
      response.setHeader('Content-Encoding', coding);
      response.end(compress(Buffer.from(`say ${VALUE}`)));
    };
    const { headers, body } = await gateway.ask();
    expect(body).toBe(`say ${PLACEHOLDER}`);
    expect(headers['content-encoding']).toBeUndefined();
  });

  test('compressed in a way that cannot be read → refused in words', async () => {
    gateway.answer = (response) => {
      response.setHeader('Content-Encoding', 'gzip, br');
      response.end(VALUE);
    };
    const { status, body } = await gateway.ask();
    expect(status).toBe(502);
    expect(body).toContain('encoded its answer in a way that was not asked for');
  });

  test('an answer that goes on → comes as it is said', async () => {
    const go = Promise.withResolvers<void>();
    gateway.answer = async (response) => {
      response.write('data: one\n\n');
      await go.promise;
      response.end('data: two\n\n');
    };
    const tls = await gateway.openTls();
    const request = httpsRequest({
      createConnection: () => tls,
      host: HOST,
      port: gateway.tlsPort,
    });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const [first] = (await once(response, 'data')) as [Buffer];
    expect(first.toString()).toBe('data: one\n\n');
    go.resolve();
    expect(await text(response)).toBe('data: two\n\n');
    tls.destroy();
  });

  test('HEAD, 204 and 304 → no body, and its length is kept', async () => {
    gateway.answer = (response, { url }) => {
      response.writeHead(Number(url.slice(1)), { 'Content-Length': url === '/204' ? '0' : '5' });
      response.end();
    };
    expect(await gateway.ask({ method: 'HEAD', path: '/200' })).toMatchObject({
      status: 200,
      headers: { 'content-length': '5' },
    });
    for (const path of ['/204', '/304']) {
      expect(await gateway.ask({ method: 'GET', path })).toMatchObject({
        status: Number(path.slice(1)),
        body: '',
      });
    }
  });
});

describe('a server that says the value again, but cut short', () => {
  const WORD = 'c4n4ry-V4lue-Of-32-Charact3rs-xyz';
  const LEAST = Math.ceil(WORD.length / 2);
  const forms = FORMS.filter(([form, encode]) => encode('') === '' && !form.includes('after'));

  test.each(forms)('%s, half of it or more → is not understood', async (_form, encode) => {
    gateway.value = WORD;
    const whole = encode(WORD);
    for (const length of [Math.ceil(whole.length / 2) + 2, whole.length - 1]) {
      const cut = whole.slice(0, length);
      gateway.answer = (response) => {
        response.setHeader('X-Echo', `<${cut}>`);
        response.end(`<${cut}>`);
      };
      const { headers, body } = await gateway.ask();
      for (const said of [body, String(headers['x-echo'])]) {
        expect(said).toContain(encode('drover_placeholder_').slice(0, 20));
        expect(said).not.toContain(whole.slice(0, whole.length / 2));
      }
    }
  });

  test('less than half of it → is shown', async () => {
    gateway.value = WORD;
    gateway.answer = (response) => void response.end(`<${WORD.slice(0, LEAST - 1)}>`);
    expect((await gateway.ask()).body).toBe(`<${WORD.slice(0, LEAST - 1)}>`);
  });

  test('by the end of the answer, in pieces anywhere → is not understood', async () => {
    gateway.value = WORD;
    for (let length = LEAST; length < WORD.length; length += 4) {
      gateway.answer = async (response) => {
        for (const piece of ['say ', WORD.slice(0, 5), WORD.slice(5, length)]) {
          response.write(piece);
          await new Promise((resolve) => setImmediate(resolve));
        }
        response.end();
      };
      expect((await gateway.ask()).body).toBe(`say ${PLACEHOLDER}`);
    }
  });

  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ])('compressed by %s → is read', async (coding, compress) => {
    gateway.value = WORD;
    gateway.answer = (response) => {
      response.setHeader('Content-Encoding', coding);
      response.end(compress(Buffer.from(`say ${WORD.slice(0, -3)}… and more`)));
    };
    expect((await gateway.ask()).body).toBe(`say ${PLACEHOLDER}… and more`);
  });
});
