import { Readable } from 'node:stream';
import { type CollectResult, OutputFile, type OutputList } from '../../../protocol/output-list.ts';
import { outputKey, outputsListKey, type StoredSession } from '../../../store/places.ts';
import type { Store } from '../../../store/store.ts';
import type { TransferStream } from './transfer-stream.ts';

/**
 * Writes the files that a hand gave, and their list, to the store. What is there already is not
 * moved again; a file that changes as it is read stays as it was collected before, or out.
 */
export async function collectOutputs(
  transfer: TransferStream,
  store: Store,
  options: {
    readonly session: StoredSession;
    readonly hand: string;
    readonly signal: AbortSignal;
  },
): Promise<CollectResult> {
  const { session, hand } = options;
  await transfer.order({ type: 'collect' });
  const listing = await transfer.expect('listing');
  const listed = toFiles(listing['files']);
  const there = await present(store, session, listed);
  const wanted = listed.filter((file) => !there.has(file));
  await transfer.send({ type: 'want', paths: wanted.map(({ path }) => path) });
  for (const file of wanted) {
    if (await take(transfer, store, file, options)) there.add(file);
  }
  const files = listed.filter((file) => there.has(file));
  const is_cut = listing['is_cut'] === true || files.length < listed.length;
  const list: OutputList = { hand, collected_at: new Date().toISOString(), files, is_cut };
  await store.put(outputsListKey(session, hand), Readable.from([JSON.stringify(list)]));
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return { files: files.length, bytes, is_cut };
}

async function present(
  store: Store,
  session: StoredSession,
  files: readonly OutputFile[],
): Promise<Set<OutputFile>> {
  const there = new Set<OutputFile>();
  for (const file of files) {
    const blob = await store.head(outputKey(session, file.sha256));
    if (blob?.bytes === file.bytes) there.add(file);
  }
  return there;
}

/** False when it is not what was listed: then nothing is written. */
async function take(
  transfer: TransferStream,
  store: Store,
  file: OutputFile,
  { session, signal }: { readonly session: StoredSession; readonly signal: AbortSignal },
): Promise<boolean> {
  const changed = new Error('it changed as it was read');
  const content = transfer.content();
  const checked = async function* (): AsyncGenerator<Buffer> {
    let bytes = 0;
    for await (const chunk of content) {
      bytes += chunk.length;
      if (bytes <= file.bytes) yield chunk;
    }
    if (bytes !== file.bytes) throw changed;
  };
  const key = outputKey(session, file.sha256);
  try {
    const stored = await store.put(key, Readable.from(checked(), { objectMode: false }), {
      signal,
    });
    if (stored.sha256 === file.sha256) return true;
    await store.delete(key);
    return false;
  } catch (error) {
    if (error === changed) return false;
    throw error;
  }
}

function toFiles(value: unknown): OutputFile[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((file: unknown) => {
    const parsed = OutputFile.safeParse(file);
    return parsed.success ? [parsed.data] : [];
  });
}
