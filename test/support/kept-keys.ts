import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseKeyRing } from '../../codec/key-ring.ts';
import type { KeyRingFile } from '../../codec/key-ring-file.ts';

export const ENCRYPTED_HISTORIES = fileURLToPath(
  new URL('../histories/encrypted/', import.meta.url),
);

/** The ring of the kept encrypted histories. It is no secret, so its file's mode does not count. */
export async function openKeptKeys(): Promise<KeyRingFile> {
  const path = `${ENCRYPTED_HISTORIES}key-ring.json`;
  const ring = parseKeyRing(await readFile(path, 'utf8'), path);
  return { path, current: async () => ring, latest: async () => ring };
}
