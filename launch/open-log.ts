import { type FileHandle, open, rename, stat } from 'node:fs/promises';

const MAX_LOG_BYTES = 5_000_000;

/** Opens a log to append to; one that has grown too large is kept once more as `<path>.1`. */
export async function openLog(path: string): Promise<FileHandle> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > MAX_LOG_BYTES) await rename(path, `${path}.1`);
  return open(path, 'a', 0o600);
}
