import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openStore } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import { NoStoreError } from './errors/no-store-error.ts';
import { withStoreErrors } from './errors/store-failed-error.ts';

/** Opens the store when files are first asked for. @throws NoStoreError */
export type OpenFileStore = () => Promise<Store>;

export function createOpenFileStore(url: string | undefined): OpenFileStore {
  let opened: Promise<Store> | undefined;
  return () => {
    if (url === undefined) return Promise.reject(new NoStoreError('no store is configured'));
    opened ??= open(url);
    return opened;
  };
}

async function open(url: string): Promise<Store> {
  const store = await withStoreErrors(() => openStore(url));
  // Workers make it. One that is missing is that of another machine, or a slip.
  if (url.startsWith('file:') && !existsSync(fileURLToPath(url))) {
    throw new NoStoreError(`there is no store at ${url}`);
  }
  return store;
}
