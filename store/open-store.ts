import { isAbsolute } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createDirectoryStore } from './directory-store.ts';
import { type Store, StoreError } from './store.ts';

const SHAPE = 'must be file:///folder or s3://bucket/prefix';

/**
 * The store that a URL names: `file:///folder` or `s3://bucket/prefix`. Nothing is asked of it yet.
 *
 * @throws {StoreError} `refused`, naming DROVER_STORE.
 */
export async function openStore(url: string): Promise<Store> {
  // Not `URL.parse`: the client runs on Node 20, which does not have it.
  if (!URL.canParse(url)) throw malformed(url, SHAPE);
  const parsed = new URL(url);
  if (parsed.search !== '' || parsed.hash !== '') throw malformed(url, SHAPE);
  switch (parsed.protocol) {
    case 'file:':
      return createDirectoryStore(url, folderOf(url, parsed));
    case 's3:':
      return openBucket(url, parsed);
    default:
      throw malformed(url, SHAPE);
  }
}

/** The URL of a folder. */
export function folderUrl(path: string): string {
  return pathToFileURL(path).href;
}

function folderOf(url: string, parsed: URL): string {
  if (parsed.host !== '')
    throw malformed(url, 'needs three slashes before its path: file:///folder');
  const path = fileURLToPath(parsed);
  if (!isAbsolute(path) || path === '/') throw malformed(url, SHAPE);
  return path;
}

/** Loaded when it is needed: the SDK is large. */
async function openBucket(
  url: string,
  { host, pathname, username, password }: URL,
): Promise<Store> {
  if (username + password !== '') {
    throw malformed('s3://…', 'must hold no key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  }
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(host)) throw malformed(url, SHAPE);
  const words = decodeURIComponent(pathname)
    .split('/')
    .filter((word) => word !== '');
  if (words.some((word) => word === '.' || word === '..')) throw malformed(url, SHAPE);
  const { createS3Store } = await import('./s3-store.ts');
  return createS3Store({ url, bucket: host, prefix: words.map((word) => `${word}/`).join('') });
}

function malformed(url: string, what: string): StoreError {
  return new StoreError('refused', `DROVER_STORE: "${url}" ${what}`);
}
