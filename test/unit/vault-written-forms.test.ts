import { expect, test } from 'vitest';
import { createRedactor } from '../../activities/mcp/redactor.ts';
import { replaceAll } from '../../egress/replace-bytes.ts';
import { concealing } from '../../egress/value-forms.ts';
import { createCanaries } from '../vault/search/canaries.ts';
import { searchPlaces, textPlace } from '../vault/search/search-places.ts';
import { REFLECTIONS } from '../vault/world/reflections.ts';

const canaries = createCanaries();
const secret = canaries.make('reflected');
const WAYS = Object.entries(REFLECTIONS);

const found = (text: string) => searchPlaces(canaries, [textPlace('here', text)]);

test.each(WAYS)('a server says it again as %s → the redactor takes it out', async (_, reflect) => {
  const said = `before ${reflect(secret)} after`;
  expect(await found(said)).not.toEqual([]);
  const redactor = createRedactor();
  redactor.add(secret);
  expect(await found(redactor.redact(said))).toEqual([]);
  const nested = redactor.redactJson({ [said]: [{ text: said, count: 1 }, null] });
  expect(await found(JSON.stringify(nested))).toEqual([]);
  expect(Object.values(nested as object)).toEqual([[{ text: expect.any(String), count: 1 }, null]]);
});

test.each(WAYS)(
  'a server says it again as %s → the gateway says the placeholder',
  async (_, reflect) => {
    const placeholder = 'drover_placeholder_0123456789';
    const said = Buffer.from(`before ${reflect(secret)} after`);
    const told = replaceAll(said, concealing([{ placeholder, value: secret }])).toString();
    expect(await found(told)).toEqual([]);
  },
);

test('a server cuts what it says again → what is left of it is taken out', () => {
  const redactor = createRedactor();
  redactor.add(secret);
  for (const length of [secret.length - 1, Math.ceil(secret.length / 2)]) {
    const cut = secret.slice(0, length);
    expect(redactor.redact(`at ${cut}… and ${cut}`)).toBe('at [secret]… and [secret]');
  }
  expect(redactor.redact(secret.slice(0, 4))).toBe(secret.slice(0, 4));
});

test('twice in a row, the first one ending as the second begins → all of it is taken out', () => {
  const redactor = createRedactor();
  redactor.add('abcdefghijkaXYZ-0123');
  expect(redactor.redact('<abcdefghijkabcdefghijkaX>')).toBe('<[secret]>');
});

test('what is nested more deeply than a stack allows → cut', () => {
  const redactor = createRedactor();
  const deep = JSON.parse(`${'[1,'.repeat(100_000)}null${']'.repeat(100_000)}`) as unknown;
  expect(JSON.stringify(redactor.redactJson(deep))).toContain('nested too deeply');
});
