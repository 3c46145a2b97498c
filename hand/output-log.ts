import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';

/** What a command prints: in a file, as far as one may grow, and its end in memory. */
export interface OutputLog {
  readonly bytes: number;
  append(chunk: Buffer): void;
  /** Last lines, at most 2 kB, for someone who watches. */
  tail(): string;
  /** Ends the log. A file that says no more than the text is removed. */
  finish(): FinishedOutput;
}

export interface FinishedOutput {
  /** As the model reads it: at most 100 KiB, its end when there was more. */
  readonly text: string;
  /** Says what is missing and where it is, when something is. */
  readonly notice: string | undefined;
}

/** As the SDK's bash tool has it. */
export const MAX_OUTPUT_BYTES = 100 * 1024;
const MAX_TAIL_BYTES = 2 * 1024;
const ANSI_SEQUENCE = new RegExp(`${String.fromCharCode(27)}\\[[0-9;?]*[ -/]*[@-~]`, 'g');

/**
 * @param path The file, written from the first byte on.
 * @param maxFileBytes What is kept in it.
 */
export function createOutputLog(path: string, maxFileBytes = Number.POSITIVE_INFINITY): OutputLog {
  const file = new OutputFile(path, maxFileBytes);
  let chunks: Buffer[] = [];
  let kept = 0;
  let bytes = 0;
  const end = (limit: number): Buffer => lastBytes(Buffer.concat(chunks), limit);

  return {
    get bytes() {
      return bytes;
    },
    append(chunk) {
      file.write(chunk);
      bytes += chunk.length;
      chunks.push(chunk);
      kept += chunk.length;
      for (let first = chunks[0]; first !== undefined; first = chunks[0]) {
        if (kept - first.length < MAX_OUTPUT_BYTES) break;
        chunks.shift();
        kept -= first.length;
      }
    },
    tail: () => lastBytes(Buffer.from(readable(end(MAX_TAIL_BYTES))), MAX_TAIL_BYTES).toString(),
    finish() {
      const cut = end(MAX_OUTPUT_BYTES);
      chunks = [];
      // A byte that is no text becomes a character of three, so the limit is asked for again.
      const whole = Buffer.from(readable(cut).replace(/\n+$/, ''));
      const text = lastBytes(whole, MAX_OUTPUT_BYTES).toString();
      const isComplete = cut.length === bytes && Buffer.byteLength(text) === whole.length;
      return { text, notice: file.finish(isComplete, bytes) };
    },
  };
}

class OutputFile {
  readonly #path: string;
  readonly #maxBytes: number;
  #left: number;
  #file: number | undefined;
  #problem: string | undefined;

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#left = maxBytes;
    this.#attempt(() => {
      this.#file = openSync(path, 'w', 0o600);
    });
  }

  write(chunk: Buffer): void {
    const file = this.#file;
    if (file === undefined || this.#left === 0) return;
    const kept = chunk.subarray(0, this.#left);
    this.#left -= kept.length;
    this.#attempt(() => {
      for (let written = 0; written < kept.length; ) {
        written += writeSync(file, kept, written);
      }
    });
  }

  finish(isComplete: boolean, bytes: number): string | undefined {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    if (isComplete) {
      this.#attempt(() => unlinkSync(this.#path));
      return undefined;
    }
    return `[output truncated: the end of ${bytes} bytes follows; ${this.#where(bytes)}]`;
  }

  #where(bytes: number): string {
    if (this.#problem !== undefined) return `the whole output could not be kept: ${this.#problem}`;
    if (bytes <= this.#maxBytes) return `the whole output is in ${this.#path}`;
    return `its first ${this.#maxBytes} bytes, all that is kept, are in ${this.#path}`;
  }

  /** A full disk must not stop the command: its output is kept in part, and the notice says so. */
  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (this.#file !== undefined) closeSync(this.#file);
      this.#file = undefined;
      this.#problem = error instanceof Error ? error.message : String(error);
    }
  }
}

/** Text without terminal colours; NUL, which no API takes, becomes the mark for "no text". */
function readable(bytes: Buffer): string {
  return bytes.toString('utf8').replace(ANSI_SEQUENCE, '').replaceAll('\0', '\uFFFD');
}

/** The last bytes, from the start of a character on. */
function lastBytes(bytes: Buffer, limit: number): Buffer {
  if (bytes.length <= limit) return bytes;
  let start = bytes.length - limit;
  const latest = start + 3;
  while (start < latest && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1;
  return bytes.subarray(start);
}
