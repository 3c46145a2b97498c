import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { type StoredSession, workspaceFolder } from '../../../store/places.ts';
import { type Store, type Stored, StoreError } from '../../../store/store.ts';

/** What became of the workspace of one sandbox, as it is written beside the snapshots. */
const SnapshotRecord = z.object({
  type: z.literal('snapshot'),
  generation: z.number(),
  /** RFC 3339. */
  at: z.string(),
  /** Key of the archive. */
  content: z.string(),
  bytes: z.number(),
  sha256: z.string(),
  files: z.number(),
  unpacked_bytes: z.number(),
  /** Files that could not be read. */
  skipped: z.number(),
  /** Patterns that were left out. */
  excludes: z.array(z.string()),
});
export type SnapshotRecord = z.infer<typeof SnapshotRecord>;

const MissRecord = z.object({
  type: z.literal('missed'),
  generation: z.number(),
  at: z.string(),
  /** Why it was not kept, or cannot be used. */
  because: z.string(),
});
export type MissRecord = z.infer<typeof MissRecord>;

const WorkspaceRecord = z.discriminatedUnion('type', [SnapshotRecord, MissRecord]);
export type WorkspaceRecord = z.infer<typeof WorkspaceRecord>;

/** What there is for the next sandbox of a hand. */
export interface KeptWorkspace {
  readonly snapshot: SnapshotRecord | undefined;
  /** What is newer than the snapshot, and was not kept. */
  readonly missed: MissRecord | undefined;
}

/** The snapshots of one hand, of which the newest is kept. */
export interface KeptWorkspaces {
  find(): Promise<KeptWorkspace>;
  /** What became of one sandbox's workspace, if that was written already. */
  recordOf(instance: string): Promise<WorkspaceRecord | undefined>;
  /** Writes an archive that no record names yet. */
  write(
    archive: Readable,
    options: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<Stored & { readonly content: string }>;
  /**
   * Makes a record the newest one, once for each sandbox: a later attempt changes nothing. Older
   * snapshots go when there is a newer one.
   */
  record(instance: string, record: WorkspaceRecord): Promise<void>;
  /** Makes a snapshot that cannot be used one that was not kept, and says why. */
  discard(snapshot: SnapshotRecord, because: string): Promise<void>;
  /** Undefined when there is none of its length. */
  read(snapshot: SnapshotRecord): Promise<Readable | undefined>;
  /** Removes all of it. */
  forget(): Promise<void>;
}

interface Numbered {
  readonly key: string;
  readonly number: number;
  readonly instance: string;
}

const MAX_RECORD_BYTES = 256 * 1024;

export function keptWorkspaces(store: Store, session: StoredSession, hand: string): KeptWorkspaces {
  const folder = workspaceFolder(session, hand);
  const listRecords = async (): Promise<Numbered[]> => {
    const blobs = await Array.fromAsync(store.list(`${folder}records/`));
    return blobs
      .filter(({ bytes }) => bytes <= MAX_RECORD_BYTES)
      .flatMap(({ key }) => toNumbered(key) ?? [])
      .sort((one, other) => other.number - one.number);
  };
  const readRecord = async (key: string): Promise<WorkspaceRecord | undefined> => {
    const content = await store.get(key);
    return content === undefined
      ? undefined
      : WorkspaceRecord.parse(JSON.parse(await text(content)));
  };
  const find = async (): Promise<KeptWorkspace & { readonly keys: readonly string[] }> => {
    let missed: MissRecord | undefined;
    const keys: string[] = [];
    for (const { key } of await listRecords()) {
      const record = await readRecord(key);
      if (record === undefined) continue;
      keys.push(key);
      if (record.type === 'snapshot') return { snapshot: record, missed, keys };
      missed ??= record;
    }
    return { snapshot: undefined, missed, keys };
  };
  /** What the newest snapshot and what came after it do not need. */
  const prune = async (): Promise<void> => {
    const { snapshot, keys } = await find();
    const needed = new Set([...keys, snapshot?.content]);
    for (const { key } of await listRecords()) {
      if (!needed.has(key)) await store.delete(key);
    }
    for await (const { key } of store.list(`${folder}content/`)) {
      if (!needed.has(key)) await store.delete(key);
    }
  };
  return {
    find,
    async recordOf(instance) {
      const own = (await listRecords()).find((numbered) => numbered.instance === instance);
      return own === undefined ? undefined : readRecord(own.key);
    },
    async write(archive, options) {
      const content = `${folder}content/${randomUUID()}`;
      return { ...(await store.put(content, archive, options)), content };
    },
    async record(instance, record) {
      const present = await listRecords();
      if (!present.some((numbered) => numbered.instance === instance)) {
        // Another attempt that saw the same records takes the same number.
        const number = String((present[0]?.number ?? 0) + 1).padStart(8, '0');
        const key = `${folder}records/${number}-${instance}.json`;
        await store.putNew(key, toJson(record)).catch(ignoreExisting);
      }
      await prune();
    },
    async discard(snapshot, because) {
      const { generation } = snapshot;
      const at = new Date().toISOString();
      for (const { key } of await listRecords()) {
        const record = await readRecord(key);
        if (record?.type !== 'snapshot' || record.content !== snapshot.content) continue;
        const missed: MissRecord = { type: 'missed', generation, at, because };
        await store.put(key, toJson(missed));
        await store.delete(snapshot.content);
        return;
      }
    },
    async read({ content, bytes }) {
      const blob = await store.head(content);
      return blob?.bytes === bytes ? store.get(content) : undefined;
    },
    forget: () => store.deleteAll(folder),
  };
}

function toJson(record: WorkspaceRecord): Readable {
  return Readable.from([JSON.stringify(record)]);
}

function toNumbered(key: string): Numbered | undefined {
  const [, number, instance] = /\/(\d{8})-([^/]+)\.json$/.exec(key) ?? [];
  if (number === undefined || instance === undefined) return undefined;
  return { key, number: Number(number), instance };
}

function ignoreExisting(error: unknown): undefined {
  if (error instanceof StoreError && error.problem === 'exists') return undefined;
  throw error;
}
