import { createInflate } from 'node:zlib';
import { PackUnreadableError } from './git-pack-entry.ts';

/** Dropped at once: more of it at a time is less to do. */
const CHUNK_BYTES = 128 * 1024;

/** Finds the end of a large object: unpacks it as it comes, and drops what that gives. */
export class LargeObject {
  readonly #inflating = createInflate({ chunkSize: CHUNK_BYTES }).resume();
  readonly #failed = Promise.withResolvers<never>();

  constructor() {
    this.#failed.promise.catch(() => {});
    this.#inflating.once('error', () => {
      this.#failed.reject(new PackUnreadableError('an object in it cannot be unpacked'));
    });
  }

  /**
   * @returns how many of the bytes are the object's. That it is done shows by the first one that is
   * not.
   * @throws {PackUnreadableError}
   */
  async write(bytes: Buffer): Promise<{ readonly isDone: boolean; readonly length: number }> {
    if (bytes.length === 0) return { isDone: false, length: 0 };
    const inflating = this.#inflating;
    const before = inflating.bytesWritten;
    const written = new Promise<void>((resolve) => inflating.write(bytes, () => resolve()));
    await Promise.race([written, this.#failed.promise]);
    const length = inflating.bytesWritten - before;
    const isDone = length < bytes.length;
    if (isDone) inflating.destroy();
    return { isDone, length };
  }
}
