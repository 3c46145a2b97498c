import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, unlinkSync } from 'node:fs';
import { Socket } from 'node:net';

/**
 * The pipe that shells write their output to. One pipe serves a hand for its whole life, so that a
 * background process can write on when its command, or its shell, has ended: what it writes goes to
 * the command that runs then, or nowhere.
 *
 * A real pipe: on the socket pairs that Node makes for children, `echo >/dev/stderr` fails.
 */
export interface OutputPipe {
  /** End that a shell gets as its standard output and error. */
  readonly writeEnd: number;
  /** Hands what arrives to `sink` until `release`. */
  capture(sink: (chunk: Buffer) => void): void;
  /** Hands over all that was written before this call, then stops capturing. */
  release(): void;
  close(): void;
}

const CHUNK_BYTES = 64 * 1024;
/** A pipe holds at most this much (`/proc/sys/fs/pipe-max-size`): what was written before is in it. */
const MAX_PIPE_BYTES = 1024 * 1024;

/**
 * @param path Where the pipe is made; its name is gone again when this returns.
 * @param program The program that makes it.
 */
export function createOutputPipe(path: string, program = 'mkfifo'): OutputPipe {
  execFileSync(program, ['-m', '600', path]);
  const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(path, constants.O_WRONLY);
  unlinkSync(path);

  let sink: ((chunk: Buffer) => void) | undefined;
  const reader = new Socket({ fd: readEnd, readable: true, writable: false });
  reader.on('data', (chunk: Buffer) => sink?.(chunk));

  return {
    writeEnd,
    capture(next) {
      sink = next;
    },
    release() {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      let drained = 0;
      while (drained < MAX_PIPE_BYTES) {
        const read = readNow(readEnd, chunk);
        if (read === 0) break;
        sink?.(Buffer.from(chunk.subarray(0, read)));
        drained += read;
      }
      sink = undefined;
    },
    close() {
      reader.destroy();
      closeSync(writeEnd);
    },
  };
}

/** Bytes read, or 0 when the pipe is empty. */
function readNow(file: number, chunk: Buffer): number {
  try {
    return readSync(file, chunk);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return 0;
    throw error;
  }
}
