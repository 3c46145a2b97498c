import { createHash } from 'node:crypto';
import type { OutputFile } from '../protocol/output-list.ts';
import { StoreFailedError } from './errors/store-failed-error.ts';

/** Passes content on, and fails at its end when it is not what was listed. */
export function createHashCheck({ path, sha256 }: OutputFile) {
  return async function* (content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for await (const chunk of content) {
      hash.update(chunk);
      yield chunk;
    }
    if (hash.digest('hex') === sha256) return;
    throw new StoreFailedError(`the store's content of "${path}" is not what the session gave`);
  };
}
