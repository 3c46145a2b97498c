import { openStore } from '../store/open-store.ts';
import { type Store, StoreError } from '../store/store.ts';

/**
 * The store of a worker. One that is away does not keep the worker from starting: what needs it is
 * tried again.
 *
 * @throws {StoreError} when it refuses: only another configuration will do.
 */
export async function openVerifiedStore(url: string): Promise<Store> {
  const store = await openStore(url);
  try {
    await store.verify();
  } catch (error) {
    if (!(error instanceof StoreError) || error.problem === 'refused') throw error;
    console.warn(`drover worker: warning: ${error.message}`);
  }
  return store;
}

/** Opens the store when it is first needed, once; most workers never need it. */
export function createStoreOpener(url: string): () => Promise<Store> {
  let opened: Promise<Store> | undefined;
  return () => {
    opened ??= openStore(url);
    return opened;
  };
}
