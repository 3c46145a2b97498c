import { createWriteStream, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';

const READ_ONLY = 0o444;

/** Nothing can be put at the path that was asked for. */
export class PathRefusedError extends Error {
  override readonly name = 'PathRefusedError';
}

/**
 * Puts a file at a path, for reading: whole, or not at all, so that doing it again changes nothing.
 *
 * @throws {PathRefusedError}
 */
export async function receiveFile(path: string, content: AsyncIterable<Buffer>): Promise<void> {
  const draft = `${path}.draft-${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    await pipeline(content, createWriteStream(draft, { flags: 'wx', mode: READ_ONLY }));
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    const isPath = error instanceof Error && 'syscall' in error;
    throw isPath ? new PathRefusedError(error.message, { cause: error }) : error;
  }
}
