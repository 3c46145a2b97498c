import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { TransferError, type TransferMessage } from '../../../k8s/sandbox/transfer-frames.ts';
import type { HandConfig } from '../../../protocol/environment.ts';
import { StoreError } from '../../../store/store.ts';
import type { KeptWorkspaces, SnapshotRecord, WorkspaceRecord } from './kept-workspaces.ts';
import type { TransferStream } from './transfer-stream.ts';

/** Compressed. */
const DEFAULT_MAX_MIB = 1024;
const MIB = 1024 * 1024;
const MAX_WORDS = 500;

export interface KeepOptions {
  readonly instance: string;
  readonly generation: number;
  readonly rules: HandConfig['snapshot'];
  readonly signal: AbortSignal;
}

/**
 * Takes a snapshot, from the sandbox to the store as it comes, and makes it the newest one. A
 * workspace over the cap is not kept, and the record says so.
 *
 * @throws {TransferError} when the sandbox broke off. @throws {StoreError}
 */
export async function keepWorkspace(
  transfer: TransferStream,
  kept: KeptWorkspaces,
  options: KeepOptions,
): Promise<WorkspaceRecord> {
  const { instance, generation, rules } = options;
  const maxMib = rules?.max_mib ?? DEFAULT_MAX_MIB;
  const excludes = rules?.excludes ?? [];
  let record: WorkspaceRecord;
  try {
    record = await takeSnapshot(transfer, kept, { ...options, excludes, maxBytes: maxMib * MIB });
  } catch (error) {
    if (!(error instanceof StoreError) || error.problem !== 'too_large') throw error;
    const because =
      `it has over ${maxMib} MiB, compressed: the environment allows no more ` +
      '(config.snapshot.max_mib; config.snapshot.excludes leaves out what need not be kept)';
    record = { type: 'missed', generation, at: new Date().toISOString(), because };
  }
  await kept.record(instance, record);
  return record;
}

async function takeSnapshot(
  transfer: TransferStream,
  kept: KeptWorkspaces,
  options: KeepOptions & { readonly excludes: readonly string[]; readonly maxBytes: number },
): Promise<SnapshotRecord> {
  const { generation, excludes, maxBytes, signal } = options;
  const at = new Date().toISOString();
  await transfer.order({ type: 'pack', excludes });
  let summary = { files: 0, unpacked_bytes: 0, skipped: 0 };
  const content = transfer.content(({ files, unpacked_bytes, skipped }) => {
    summary = {
      files: toCount(files),
      unpacked_bytes: toCount(unpacked_bytes),
      skipped: toCount(skipped),
    };
  });
  const archive = Readable.from(content, { objectMode: false });
  const stored = await kept.write(archive, { maxBytes, signal });
  return { type: 'snapshot', generation, at, ...stored, ...summary, excludes: [...excludes] };
}

/** The snapshot cannot be what was taken: it must not be tried again. */
export class SnapshotDamagedError extends Error {
  override readonly name = 'SnapshotDamagedError';
}

/**
 * Makes a new sandbox what the snapshot is. One that an earlier attempt restored is left as it is,
 * and one that it left half-way is restored from the start.
 *
 * @throws {SnapshotDamagedError} @throws {TransferError} @throws {StoreError}
 */
export async function restoreWorkspace(
  transfer: TransferStream,
  kept: KeptWorkspaces,
  snapshot: SnapshotRecord,
): Promise<void> {
  await transfer.order({ type: 'unpack', snapshot: snapshot.content });
  const { type } = await transfer.expect('send', 'restored');
  if (type === 'restored') return;
  const archive = await kept.read(snapshot);
  if (archive === undefined) throw new SnapshotDamagedError('its content is not in the store');
  const answer = transfer.expect('restored', 'damaged');
  answer.catch(() => {});
  const sending = transfer.sendContent(checked(archive, snapshot));
  try {
    const end = await answerTo(sending, answer);
    if (end.type === 'restored') return;
    throw new SnapshotDamagedError(String(end['message']).slice(0, MAX_WORDS));
  } finally {
    archive.destroy();
    sending.catch(() => {});
  }
}

/** A sandbox that breaks off has mostly said why. */
async function answerTo(
  sending: Promise<void>,
  answer: Promise<TransferMessage>,
): Promise<TransferMessage> {
  try {
    return await Promise.race([answer, sending.then(() => answer)]);
  } catch (error) {
    if (error instanceof TransferError) return answer;
    throw error;
  }
}

/** Fails before its end is said when it is not what was written. */
async function* checked(archive: Readable, snapshot: SnapshotRecord): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of archive) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new StoreError('unreachable', `a snapshot could not be read to its end: ${words}`);
  }
  if (bytes < snapshot.bytes) {
    throw new StoreError('unreachable', 'a snapshot could not be read to its end');
  }
  if (bytes > snapshot.bytes || hash.digest('hex') !== snapshot.sha256) {
    throw new SnapshotDamagedError('its content is not what was written');
  }
}

function toCount(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
