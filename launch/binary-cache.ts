import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** Downloaded binaries by name, each beside the hash that it had when it was checked. */
export interface BinaryCache {
  /** The cached binary, or why there is none. */
  find(): Promise<{ readonly path: string } | { readonly reason: string }>;
  /** A fresh folder on the cache's disk for what is being downloaded. The caller removes it. */
  workFolder(): Promise<string>;
  /** Copies a checked binary in, atomically; several processes may do so at once. */
  store(binary: string): Promise<string>;
}

export function createBinaryCache(folder: string, name: string): BinaryCache {
  const entry = join(folder, name);
  const path = join(entry, 'temporal');
  const hashPath = join(entry, 'temporal.sha256');
  const workFolder = async () => {
    await mkdir(folder, { recursive: true });
    return mkdtemp(join(folder, 'new-'));
  };
  return {
    workFolder,
    async find() {
      const recorded = await readFile(hashPath, 'utf8').catch(() => undefined);
      if (recorded === undefined) return { reason: `nothing at ${path}` };
      const actual = await sha256Of(path).catch(() => undefined);
      if (actual === recorded.trim()) return { path };
      return { reason: `${path} no longer has the hash recorded for it` };
    },
    async store(binary) {
      const fresh = await workFolder();
      try {
        const copy = join(fresh, 'temporal');
        await copyFile(binary, copy);
        await chmod(copy, 0o755);
        await writeFile(join(fresh, 'temporal.sha256'), `${await sha256Of(copy)}\n`);
        await rename(fresh, entry).catch(async (error: unknown) => {
          // A good one stays where it is: another process may be about to run it.
          if ('path' in (await this.find())) return;
          await rename(entry, join(fresh, 'spoilt')).catch(() => Promise.reject(error));
          await rename(fresh, entry);
          await rm(join(entry, 'spoilt'), { recursive: true, force: true });
        });
      } finally {
        await rm(fresh, { recursive: true, force: true });
      }
      return path;
    },
  };
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
