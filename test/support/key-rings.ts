import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeyRing, rotateKeyRing } from '../../codec/key-ring.ts';
import { type KeyRingFile, openKeyRing } from '../../codec/key-ring-file.ts';

export interface KeyRings {
  readonly folder: string;
  /** A ring with one key. */
  readonly one: KeyRingFile;
  /** The same ring with a second key, which encrypts. */
  readonly two: KeyRingFile;
  /** Another one. */
  readonly other: KeyRingFile;
  remove(): Promise<void>;
}

export async function createKeyRings(): Promise<KeyRings> {
  const folder = await mkdtemp(join(tmpdir(), 'drover-rings-'));
  const now = new Date();
  const one = createKeyRing(now).text;
  const two = rotateKeyRing(one, 'two', { now, encryptsFrom: now }).text;
  const open = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return openKeyRing(join(folder, name));
  };
  return {
    folder,
    one: await open('one', one),
    two: await open('two', two),
    other: await open('other', createKeyRing(now).text),
    remove: () => rm(folder, { recursive: true }),
  };
}
