import { DefaultPayloadConverter } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { payloadConverter } from '../../protocol/payload-converter.ts';

const sdk = new DefaultPayloadConverter();
const encoder = new TextEncoder();

function json(data: Uint8Array) {
  return { metadata: { encoding: encoder.encode('json/plain') }, data };
}

describe('the payload converter', () => {
  test.each([
    ['text', 'hello'],
    ['characters of two, three and four bytes', 'ä € 𝄞 \u0000 "'],
    ['half a surrogate pair', '\ud834'],
    ['an object', { a: [1, null, { b: 'c' }] }],
    ['bytes', new Uint8Array([0, 255])],
    ['nothing', undefined],
  ])('%s → what the converter of the SDK gives', (_name, value) => {
    const payload = sdk.toPayload(value);
    expect(payloadConverter.fromPayload(payload)).toEqual(sdk.fromPayload(payload));
  });

  test.each([
    ['bytes that are no JSON', json(encoder.encode('{"a":'))],
    ['no bytes', json(new Uint8Array())],
    ['a mark of byte order', json(new Uint8Array([0xef, 0xbb, 0xbf, 0x31]))],
    ['an unknown encoding', { metadata: { encoding: encoder.encode('json/strange') } }],
    ['no encoding', { metadata: {} }],
  ])('%s → marked, not thrown', (_name, payload) => {
    expect(() => sdk.fromPayload(payload)).toThrow();
    expect(payloadConverter.fromPayload(payload)).toEqual({ undecodable: expect.any(String) });
  });

  test('bytes that are no UTF-8 → replacement characters, as the SDK has it', () => {
    const payload = json(new Uint8Array([0x22, 0xc3, 0x28, 0x22]));
    expect(payloadConverter.fromPayload(payload)).toBe('\ufffd(');
  });
});
