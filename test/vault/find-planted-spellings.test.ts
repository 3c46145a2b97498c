import { randomBytes } from 'node:crypto';
import { deflateSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { createCanaries } from './search/canaries.ts';
import { searchPlaces } from './search/search-places.ts';

// A search that finds nothing is worth what it would have found: here it is hidden in every way, by
// those that hide such things in life, and not by what the search looks for.

const canaries = createCanaries();
const secret = canaries.make('bearer');
const NOISE = randomBytes(3000);

const plain = (text: string): string => `token is ${text}, they say`;

const WAYS: Record<string, (secret: string) => string | Buffer> = {
  plain,
  'among bytes': (text) => Buffer.concat([NOISE, Buffer.from(text), NOISE]),
  'base64 of itself': (text) => Buffer.from(text).toString('base64'),
  'base64 after one byte': (text) => Buffer.from(`:${text}`).toString('base64'),
  'base64 after two bytes': (text) => Buffer.from(`a:${text}`).toString('base64'),
  'base64 as a name and password': (text) => `Basic ${btoa(`x-access-token:${text}`)}`,
  'base64 for URLs, in a token': (text) => Buffer.from(plain(text)).toString('base64url'),
  'base64 for URLs, one byte on': (text) => Buffer.from(`a${plain(text)}`).toString('base64url'),
  'base64 for URLs, two bytes on': (text) => Buffer.from(`ab${plain(text)}`).toString('base64url'),
  hex: (text) => Buffer.from(plain(text)).toString('hex'),
  'hex in upper case': (text) => Buffer.from(plain(text)).toString('hex').toUpperCase(),
  'a part of a URL': (text) => `https://a/${encodeURIComponent(text)}?x`,
  'a part of a URL in lower case': (text) =>
    encodeURIComponent(text).replace(/%[\dA-F]{2}/g, (sign) => sign.toLowerCase()),
  'the query of a URL': (text) => {
    const url = new URL('https://a');
    url.searchParams.set('token', text);
    return url.href;
  },
  'a password in a URL': (text) => {
    const url = new URL('https://a');
    url.password = text;
    return url.href;
  },
  'every sign escaped': (text) =>
    [...Buffer.from(text)].map((byte) => `%${byte.toString(16).toUpperCase()}`).join(''),
  JSON: (text) => JSON.stringify({ error: `bad "${text}"\n` }),
  'JSON in JSON': (text) => JSON.stringify({ body: JSON.stringify({ error: `"${text}"` }) }),
  'JSON with escaped slashes': (text) => JSON.stringify(text).replaceAll('/', '\\/'),
  'JSON as Go writes it': (text) =>
    JSON.stringify(text).replace(/[<>&]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`),
  HTML: (text) => `<p>${text.replaceAll('&', '&amp;').replaceAll('>', '&gt;')}</p>`,
  'HTML with every sign escaped': (text) =>
    text.replace(/./g, (sign) => `&#${sign.charCodeAt(0)};`),
  'JSON with every sign escaped': (text) =>
    text.replace(/./g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`),
  'UTF-16': (text) => Buffer.from(plain(text), 'utf16le'),
  'UTF-16 at an odd place': (text) =>
    Buffer.concat([Buffer.from('x'), Buffer.from(text, 'utf16le')]),
  gzip: (text) => gzipSync(plain(text)),
  zlib: (text) => deflateSync(plain(text), { level: 9 }),
  'zlib, stored': (text) => deflateSync(plain(text), { level: 0 }),
  'zlib, fast': (text) => deflateSync(plain(text), { level: 1 }),
  'gzip among bytes': (text) => Buffer.concat([NOISE, gzipSync(plain(text)), NOISE]),
  'zlib among bytes': (text) => Buffer.concat([NOISE, deflateSync(plain(text)), NOISE]),
  'gzip that was cut': (text) => gzipSync(`${text}${NOISE.toString('hex')}`).subarray(0, -1000),
  'zlib in gzip': (text) => gzipSync(Buffer.concat([NOISE, deflateSync(plain(text)), NOISE])),
  'base64 in gzip': (text) => gzipSync(btoa(plain(text))),
};

test.each(Object.entries(WAYS))('finds a canary hidden as %s', async (_, hide) => {
  const hidden = Buffer.from(hide(secret));
  const hits = await searchPlaces(canaries, [{ name: 'here', pieces: () => [hidden] }]);
  expect(hits).toContainEqual(expect.objectContaining({ place: 'here', canary: 'bearer' }));
});

test.each(Object.entries(WAYS))(
  'finds nothing where another secret is hidden as %s',
  async (_, hide) => {
    const hidden = Buffer.from(hide(createCanaries().make('other')));
    expect(await searchPlaces(canaries, [{ name: 'here', pieces: () => [hidden] }])).toEqual([]);
  },
);

test('finds the beginning of a canary alone', async () => {
  const cut = Buffer.from(`${secret.slice(0, canaries.mark.length)}…`);
  expect(await searchPlaces(canaries, [{ name: 'here', pieces: () => [cut] }])).toEqual([
    {
      place: 'here',
      canary: 'the mark alone',
      encoding: 'plain',
      near: cut.toString('latin1').replaceAll(/[^ -~]/g, '.'),
    },
  ]);
});
