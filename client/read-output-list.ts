import { text } from 'node:stream/consumers';
import { OutputList } from '../protocol/output-list.ts';
import { outputsListKey, type StoredSession } from '../store/places.ts';
import type { Store } from '../store/store.ts';
import { StoreFailedError, withStoreErrors } from './errors/store-failed-error.ts';

/** The files that one hand of a session gave. */
export interface SessionFiles extends Omit<OutputList, 'collected_at'> {
  /** RFC 3339; null when the hand has given none yet. */
  readonly collected_at: string | null;
}

/** Above what a list of the most files takes. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;

export async function readOutputList(
  store: Store,
  session: StoredSession,
  hand: string,
): Promise<SessionFiles> {
  const key = outputsListKey(session, hand);
  return withStoreErrors(async () => {
    const blob = await store.head(key);
    const content = blob === undefined ? undefined : await store.get(key);
    if (content === undefined) return { hand, collected_at: null, files: [], is_cut: false };
    const isList = (blob?.bytes ?? 0) <= MAX_LIST_BYTES;
    const parsed = OutputList.safeParse(isList ? JSON.parse(await text(content)) : undefined);
    if (parsed.success) return parsed.data;
    throw new StoreFailedError(`the store ${store.url} holds a list of files that is none`);
  });
}
