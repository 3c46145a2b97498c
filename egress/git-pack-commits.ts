import { inflateSync } from 'node:zlib';
import { type CommitGraph, commitId, parentsNamedIn } from './git-commit-graph.ts';
import { applyDelta } from './git-delta.ts';
import { LargeObject } from './git-large-object.ts';
import { PackBuffer, type PackEntry, PackUnreadableError, readEntry } from './git-pack-entry.ts';

const HEADER_BYTES = 12;
/** An object up to this is inflated at once, a larger one as a stream, if it can be no commit. */
const SMALL_BYTES = 64 * 1024;
const MAX_COMMIT_BYTES = 1024 * 1024;
/** Of commits, which are kept: others may be told as what differs from them. */
const MAX_KEPT_BYTES = 32 * 1024 * 1024;
const COMMIT_OVERHEAD_BYTES = 512;

/**
 * Reads the commits of a pack (gitformat-pack) as it goes by, and keeps nothing else of it: what it
 * takes grows with the commits alone, and is bounded.
 *
 * A commit that is told as what differs from an object outside the pack is left out.
 */
export class PackCommits implements CommitGraph {
  readonly #format: 'sha1' | 'sha256';
  readonly #parents = new Map<string, readonly string[]>();
  /** By id, and by where they are in the pack: what others may differ from. */
  readonly #contents = new Map<string | number, Buffer>();
  readonly #pack = new PackBuffer();
  #keptBytes = 0;
  #objectsLeft: number | undefined;
  #entry: PackEntry | undefined;
  #isPastCommits = false;
  #large: LargeObject | undefined;

  constructor(format: 'sha1' | 'sha256') {
    this.#format = format;
  }

  parentsOf(id: string): readonly string[] | undefined {
    return this.#parents.get(id);
  }

  /** Something else than a commit has come: git sends all commits before it. */
  get isPastCommits(): boolean {
    return this.#isPastCommits;
  }

  /** What came and was not read. */
  get unread(): Buffer {
    return this.#pack.bytes;
  }

  /**
   * @returns what was read of it, and before: nothing of what ends a pack, without which no server
   * takes it.
   * @throws {PackUnreadableError}
   */
  async write(chunk: Buffer): Promise<Buffer> {
    this.#pack.append(chunk);
    const { bytes } = this.#pack;
    await this.#readOn({ isWhole: false });
    const left = this.#pack.bytes.length;
    if (this.#objectsLeft === 0 && left > this.#hashBytes())
      throw unreadable('more comes than its objects');
    return bytes.subarray(0, bytes.length - left);
  }

  /**
   * To be called when the pack has come as a whole.
   *
   * @returns the rest.
   * @throws {PackUnreadableError}
   */
  async end(): Promise<Buffer> {
    const { bytes } = this.#pack;
    await this.#readOn({ isWhole: true });
    const left = this.#pack.bytes.length;
    if (this.#objectsLeft !== 0 || left !== this.#hashBytes()) throw unreadable('it is cut off');
    return bytes;
  }

  async #readOn(state: { readonly isWhole: boolean }): Promise<void> {
    if (this.#objectsLeft === undefined && !this.#readHeader()) return;
    while ((this.#objectsLeft ?? 0) > 0) {
      this.#entry ??= readEntry(this.#pack, this.#hashBytes());
      if (this.#entry === undefined) return;
      if (!(await this.#readObject(this.#entry, state))) return;
      this.#entry = undefined;
      this.#objectsLeft = (this.#objectsLeft ?? 0) - 1;
    }
  }

  #readHeader(): boolean {
    const { bytes } = this.#pack;
    if (bytes.length < HEADER_BYTES) return false;
    const isPack = bytes.toString('latin1', 0, 4) === 'PACK' && bytes.readUInt32BE(4) === 2;
    if (!isPack) throw unreadable('it is none of version 2');
    this.#objectsLeft = bytes.readUInt32BE(8);
    this.#pack.skip(HEADER_BYTES);
    return true;
  }

  /** False: more of it must come first. */
  async #readObject(
    entry: PackEntry,
    { isWhole }: { readonly isWhole: boolean },
  ): Promise<boolean> {
    const isCommit = entry.type === 'commit';
    if (isCommit && entry.size > MAX_COMMIT_BYTES) throw unreadable('it has a commit over 1 MiB');
    if (entry.size > SMALL_BYTES && !isCommit) {
      this.#isPastCommits = true;
      return this.#skipLarge();
    }
    const { bytes } = this.#pack;
    if (bytes.length < mostDeflated(entry.size) && !isWhole) return false;
    const { content, length } = inflate(bytes, entry.size);
    this.#pack.skip(length);
    this.#take(entry, content);
    return true;
  }

  #take(entry: PackEntry, content: Buffer): void {
    if (entry.type === 'commit') {
      this.#keep(entry.at, content);
      return;
    }
    const base = entry.type === 'delta' ? this.#contents.get(entry.base) : undefined;
    if (base === undefined) {
      this.#isPastCommits = true;
      return;
    }
    const whole = applyDelta(base, content);
    if (whole === undefined) throw unreadable('a difference in it cannot be read');
    this.#keep(entry.at, whole);
  }

  #keep(at: number, content: Buffer): void {
    this.#keptBytes += content.length + COMMIT_OVERHEAD_BYTES;
    if (this.#keptBytes > MAX_KEPT_BYTES)
      throw unreadable('it has too many commits; push in parts');
    const id = commitId(content, this.#format);
    this.#parents.set(id, parentsNamedIn(content));
    this.#contents.set(id, content);
    this.#contents.set(at, content);
  }

  async #skipLarge(): Promise<boolean> {
    this.#large ??= new LargeObject();
    const { isDone, length } = await this.#large.write(this.#pack.bytes);
    this.#pack.skip(length);
    if (isDone) this.#large = undefined;
    return isDone;
  }

  #hashBytes(): number {
    return this.#format === 'sha1' ? 20 : 32;
  }
}

/** The most that so many bytes can be when they are packed, however badly. */
function mostDeflated(size: number): number {
  return size + Math.ceil(size / 128) + 64;
}

function inflate(
  bytes: Buffer,
  size: number,
): { readonly content: Buffer; readonly length: number } {
  try {
    const options = { info: true, maxOutputLength: size + 1, chunkSize: Math.max(size + 1, 64) };
    const { buffer, engine } = inflateSync(bytes, options) as unknown as {
      readonly buffer: Buffer;
      readonly engine: { readonly bytesWritten: number };
    };
    if (buffer.length === size) return { content: buffer, length: engine.bytesWritten };
  } catch {
    // As an object of another size than it says.
  }
  throw unreadable('an object in it cannot be unpacked');
}

function unreadable(why: string): PackUnreadableError {
  return new PackUnreadableError(why);
}
