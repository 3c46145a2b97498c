import {
  DefaultPayloadConverter,
  type Payload,
  type SerializationContext,
} from '@temporalio/common';
import { expect, test } from 'vitest';
import { createKeyRing, type KeyRing, parseKeyRing, rotateKeyRing } from '../../codec/key-ring.ts';
import type { KeyRingFile } from '../../codec/key-ring-file.ts';
import {
  createReaderCodec,
  createWorkerCodec,
  type PayloadKeys,
} from '../../codec/payload-codec.ts';
import { PayloadUnreadableError } from '../../codec/payload-unreadable-error.ts';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const MESSAGE: SerializationContext = { type: 'workflow', namespace: 'n', workflowId: 'w' };
const RESULT: SerializationContext = {
  type: 'activity',
  namespace: 'n',
  workflowId: 'w',
  isLocal: false,
};
const converter = new DefaultPayloadConverter();

function fileOf(ring: KeyRing, latest = ring): KeyRingFile {
  return { path: '/ring', current: async () => ring, latest: async () => latest };
}

const created = createKeyRing(NOW).text;
const rotated = rotateKeyRing(created, '/ring', { now: NOW, encryptsFrom: NOW }).text;
const before = fileOf(parseKeyRing(created, '/ring'));
const after = fileOf(parseKeyRing(rotated, '/ring'));
const other = fileOf(parseKeyRing(createKeyRing(NOW).text, '/ring'));

async function encrypt(value: unknown, keys: PayloadKeys): Promise<Payload> {
  const [payload] = await createWorkerCodec(keys).encode([converter.toPayload(value)], MESSAGE);
  if (payload === undefined) throw new Error('nothing was encrypted');
  return payload;
}

async function read(
  payload: Payload,
  keys: PayloadKeys,
  create = createWorkerCodec,
  context = MESSAGE,
): Promise<unknown> {
  const [decoded] = await create(keys).decode([payload], context);
  return converter.fromPayload(decoded ?? {});
}

function damage(payload: Payload): Payload {
  const data = Uint8Array.from(payload.data ?? []);
  data[20] = (data[20] ?? 0) ^ 1;
  return { ...payload, data };
}

test('what is encrypted is nowhere in the clear, and reads as it was', async () => {
  const value = { type: 'user.message', content: 'the planted word' };
  const payload = await encrypt(value, before);
  const bytes = Buffer.concat([
    payload.data ?? new Uint8Array(),
    ...Object.values(payload.metadata ?? {}),
  ]).toString('latin1');
  expect(bytes).not.toContain('planted');
  expect(bytes).not.toContain('json/plain');
  expect(Buffer.from(payload.metadata?.['encoding'] ?? []).toString()).toBe('binary/encrypted');
  expect(await read(payload, before)).toEqual(value);
  expect(await encrypt(value, before)).not.toEqual(payload);
});

test('it costs bytes, and no multiple of them', async () => {
  const value = 'x'.repeat(1_000_000);
  const plain = converter.toPayload(value).data?.length ?? 0;
  const { data, metadata = {} } = await encrypt(value, before);
  const head = Object.entries(metadata ?? {}).reduce(
    (sum, [key, part]) => sum + key.length + part.length,
    0,
  );
  expect((data?.length ?? 0) + head - plain).toBeLessThan(200);
});

test('an earlier key still decrypts after a rotation, and the newest encrypts', async () => {
  const early = await encrypt('early', before);
  const late = await encrypt('late', after);
  expect(await read(early, after)).toBe('early');
  expect(late.metadata?.['encryption-key-id']).not.toEqual(early.metadata?.['encryption-key-id']);
});

test('a key that was added a moment ago is found by reading the file again', async () => {
  const late = await encrypt('late', after);
  const stale = fileOf(await before.current(), await after.current());
  expect(await read(late, stale)).toBe('late');
});

test('what is not encrypted passes, with a ring and without', async () => {
  const plain = converter.toPayload('plain');
  expect(await createWorkerCodec(before).decode([plain], MESSAGE)).toEqual([plain]);
  expect(await createWorkerCodec(null).decode([plain], RESULT)).toEqual([plain]);
  expect(await createWorkerCodec(null).encode([plain])).toEqual([plain]);
});

const cases: [string, () => Promise<Payload>, PayloadKeys, RegExp][] = [
  [
    'a lost key',
    () => encrypt(1, after),
    before,
    /key ring \/ring lacks payload key pk-\d+-\w+\.\w+/,
  ],
  ['another ring', () => encrypt(1, other), before, /key ring \/ring is another one/],
  ['no ring', () => encrypt(1, before), null, /there is no key ring here: set DROVER_PAYLOAD_KEYS/],
  ['damaged bytes', async () => damage(await encrypt(1, before)), before, /it is damaged, or/],
  [
    'no bytes',
    async () => ({ ...(await encrypt(1, before)), data: new Uint8Array() }),
    before,
    /damaged/,
  ],
];

test.each(cases)('%s, read by a client → words in its place', async (_name, make, keys, words) => {
  const value = await read(await make(), keys, createReaderCodec);
  expect(value).toEqual({
    undecodable: expect.stringMatching(words),
    message: expect.stringMatching(words),
  });
});

test.each(cases)('%s, in a result → a worker’s task fails', async (_name, make, keys, words) => {
  const reading = read(await make(), keys, createWorkerCodec, RESULT);
  await expect(reading).rejects.toThrow(PayloadUnreadableError);
  await expect(reading).rejects.toThrow(words);
});

test.each(cases.slice(1))(
  '%s, in a message → words in its place',
  async (_name, make, keys, words) => {
    const value = await read(await make(), keys);
    expect(value).toMatchObject({ undecodable: expect.stringMatching(words) });
  },
);

test('a lost key, in a message → a worker’s task fails, and waits for the key', async () => {
  await expect(encrypt(1, after).then((payload) => read(payload, before))).rejects.toThrow(
    PayloadUnreadableError,
  );
});

test('a key’s id that somebody made up is not repeated', async () => {
  const payload = await encrypt(1, before);
  const id = Buffer.from('\u001b[31m<script>');
  const forged = { ...payload, metadata: { ...payload.metadata, 'encryption-key-id': id } };
  const value = await read(forged, before, createReaderCodec);
  expect(JSON.stringify(value)).toContain('(without a name)');
  expect(JSON.stringify(value)).not.toContain('script');
});

test('the id of the key is sealed too', async () => {
  const payload = await encrypt(1, after);
  const early = await encrypt(1, before);
  const swapped = { ...payload, metadata: { ...early.metadata } };
  expect(await read(swapped, after)).toMatchObject({
    undecodable: expect.stringMatching(/damaged/),
  });
});
