import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKeyRing, parseKeyRing, rotateKeyRing } from '../../codec/key-ring.ts';
import { openKeyRing } from '../../codec/key-ring-file.ts';
import { createKeyRingFile, rotateKeyRingFile } from '../../codec/manage-key-ring.ts';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const LATER = new Date('2026-03-01T12:05:00.000Z');

const OTHER = JSON.parse(createKeyRing(NOW).text);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drover-ring-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Text of a ring with fields of it changed, or of its one key. */
function spoiled(change: { readonly ring?: object; readonly key?: object }): string {
  const ring = JSON.parse(createKeyRing(NOW).text);
  const [key] = ring.keys;
  return JSON.stringify({ ...ring, keys: [{ ...key, ...change.key }], ...change.ring });
}

function secretOf(text: string): string {
  return JSON.parse(text).keys[0].secret;
}

test('the newest key whose time has come encrypts, and all decrypt', () => {
  const { text, key: first } = createKeyRing(NOW);
  const { text: rotated, key: second } = rotateKeyRing(text, 'ring', {
    now: NOW,
    encryptsFrom: LATER,
  });
  const ring = parseKeyRing(rotated, 'ring');
  expect(ring.encryptsAt(NOW.getTime()).id).toBe(first.id);
  expect(ring.encryptsAt(LATER.getTime() - 1).id).toBe(first.id);
  expect(ring.encryptsAt(LATER.getTime()).id).toBe(second.id);
  // A clock that is behind: there is always one.
  expect(ring.encryptsAt(0).id).toBe(first.id);
  expect(ring.find(first.id)?.secret).toEqual(first.secret);
  expect(ring.find(second.id)?.secret).toEqual(second.secret);
});

test('a key of the ring that is missing is told from one of another ring', () => {
  const { text } = createKeyRing(NOW);
  const lost = rotateKeyRing(text, 'ring', { now: NOW, encryptsFrom: NOW }).key;
  const strange = createKeyRing(NOW).key;
  const ring = parseKeyRing(text, 'ring');
  expect(ring.find(lost.id)).toBeUndefined();
  expect(ring.isOwn(lost.id)).toBe(true);
  expect(ring.isOwn(strange.id)).toBe(false);
  expect(ring.isOwn('')).toBe(false);
  expect(ring.isOwn('pk.')).toBe(false);
});

test.each<[string, string, RegExp]>([
  ['not JSON', '{"type": "payload_key_ring", "mark": c2VjcmV0', /key ring the-file: not JSON/],
  ['empty', '', /not JSON/],
  ['another file', '{"a": 1}', /key ring the-file\.type: .*Restore it from a copy/],
  ['no keys', spoiled({ ring: { keys: [] } }), /the-file\.keys: /],
  [
    'a short key',
    spoiled({ key: { secret: 'c2VjcmV0' } }),
    /the-file\.keys\[0\]\.secret: must be 32 bytes in base64/,
  ],
  [
    'a key that is cut',
    spoiled({ key: { secret: secretOf(createKeyRing(NOW).text).slice(1) } }),
    /the-file\.keys\[0\]\.secret: must be 32 bytes/,
  ],
  [
    'a key of another ring',
    spoiled({ ring: { keys: JSON.parse(createKeyRing(NOW).text).keys } }),
    /the-file\.keys\[0\]\.id: not a key of this ring/,
  ],
  [
    'a key twice',
    JSON.stringify({ ...OTHER, keys: [...OTHER.keys, ...OTHER.keys] }),
    /two keys have the same id/,
  ],
  ['no time', spoiled({ key: { encrypts_from: 'soon' } }), /the-file\.keys\[0\]\.encrypts_from: /],
])('%s → refused in words that show no secret', (_name, text, words) => {
  const read = () => parseKeyRing(text, 'the-file');
  expect(read).toThrow(words);
  expect(read).not.toThrow(/c2VjcmV0/);
});

test('create makes a file that only its owner reads, and never replaces one', async () => {
  const path = join(folder, 'created');
  const key = await createKeyRingFile(path);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await (await openKeyRing(path)).current()).find(key.id)).toBeDefined();
  await expect(createKeyRingFile(path)).rejects.toThrow(/exists already; rotate adds a key/);
});

test('rotate keeps every key, the mode and a link', async () => {
  const path = join(folder, 'rotated');
  const first = await createKeyRingFile(path);
  await chmod(path, 0o640);
  const link = join(folder, 'link');
  await symlink(path, link);
  const second = await rotateKeyRingFile(link, 60_000);
  const ring = parseKeyRing(await readFile(path, 'utf8'), path);
  expect(ring.find(first.id)).toBeDefined();
  expect(ring.encryptsAt(Date.now()).id).toBe(first.id);
  expect(ring.encryptsAt(Date.now() + 61_000).id).toBe(second.id);
  expect((await stat(path)).mode & 0o777).toBe(0o640);
});

test('of rotations at once none loses the key of another', async () => {
  const path = join(folder, 'contended');
  await createKeyRingFile(path);
  const ends = await Promise.allSettled([0, 1, 2, 3].map(() => rotateKeyRingFile(path, 0)));
  const made = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value.id] : []));
  const ring = parseKeyRing(await readFile(path, 'utf8'), path);
  expect(made.length).toBeGreaterThan(0);
  for (const id of made) expect(ring.find(id)).toBeDefined();
  for (const end of ends) {
    if (end.status === 'rejected') expect(String(end.reason)).toMatch(/another rotation|try again/);
  }
});

test('a rotation that was cut off is named, with what to do', async () => {
  const path = join(folder, 'cut-off');
  await createKeyRingFile(path);
  await writeFile(`${path}.rotating`, '');
  await expect(rotateKeyRingFile(path, 0)).rejects.toThrow(/then rm .*cut-off\.rotating/);
});

test.each([0o644, 0o604, 0o620, 0o660])(
  'mode %o → refused, with the command that mends it',
  async (mode) => {
    const path = join(folder, `mode-${mode}`);
    await createKeyRingFile(path);
    await chmod(path, mode);
    await expect(openKeyRing(path)).rejects.toThrow(/has mode 0\d\d\d.*chmod 600/);
  },
);

test.each([0o600, 0o400, 0o440])('mode %o → read', async (mode) => {
  const path = join(folder, `mode-${mode}`);
  await createKeyRingFile(path);
  await chmod(path, mode);
  await openKeyRing(path);
});

test('a file that is not there → an error that names it, the variable and the command', async () => {
  await expect(openKeyRing(join(folder, 'nowhere'))).rejects.toThrow(
    /nowhere: cannot be read \(ENOENT.*DROVER_PAYLOAD_KEYS.*payload-keys create/,
  );
  await expect(openKeyRing(folder)).rejects.toThrow(/not a key ring/);
});
