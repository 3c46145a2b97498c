import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type CallResult, isCallResult } from './wire.ts';

/** States of a call. `queued` and `running` never outlive the daemon that wrote them. */
export type CallState = 'queued' | 'running' | 'done' | 'cancelled';

/** One line of the journal. A call's last line is its state. */
export interface JournalLine {
  readonly key: string;
  readonly state: CallState;
  /** Hash of the input; absent on a tombstone, whose input is not known. */
  readonly hash?: string;
  readonly result?: CallResult;
}

/** Where a line stands in the file. */
export interface LineSpan {
  readonly offset: number;
  readonly length: number;
}

const JOURNAL_FILE = 'calls.jsonl';
const CHUNK_BYTES = 256 * 1024;
/** Above what any result takes, every character of it written as an escape. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;
const NEWLINE = 0x0a;

export function journalPath(folder: string): string {
  return `${folder}/${JOURNAL_FILE}`;
}

/** How much of a journal a scan has seen; `missing` when there is none. */
export type Scanned = 'whole' | 'part' | 'missing';

/**
 * Calls `onLine` for every whole line. What is no line of ours (torn by a power cut, or written by
 * a command in the sandbox) is skipped. Never follows a link out of the folder.
 *
 * @param lastBytes How much of the file's end is read: a command can make it as long as it likes.
 */
export function scanJournal(
  path: string,
  onLine: (line: JournalLine, span: LineSpan) => void,
  lastBytes = Number.POSITIVE_INFINITY,
): Scanned {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return 'missing';
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile()) return 'missing';
    const start = Math.max(0, status.size - lastBytes);
    scan(file, { start, end: status.size }, onLine);
    return start === 0 ? 'whole' : 'part';
  } finally {
    closeSync(file);
  }
}

function scan(
  file: number,
  { start, end }: { readonly start: number; readonly end: number },
  onLine: (line: JournalLine, span: LineSpan) => void,
): void {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let parts: Buffer[] = [];
  let length = 0;
  let position = start;
  while (position < end) {
    const read = readSync(file, chunk, 0, CHUNK_BYTES, position);
    if (read === 0) return;
    const bytes = chunk.subarray(0, read);
    let from = 0;
    for (let to = bytes.indexOf(NEWLINE); to >= 0; to = bytes.indexOf(NEWLINE, from)) {
      length += to - from;
      const isKept = length <= MAX_LINE_BYTES;
      const line = isKept
        ? parseLine(Buffer.concat([...parts, bytes.subarray(from, to)]))
        : undefined;
      if (line !== undefined) onLine(line, { offset: position + to - length, length });
      parts = [];
      length = 0;
      from = to + 1;
    }
    length += read - from;
    if (length > MAX_LINE_BYTES) parts = [];
    else parts.push(Buffer.from(bytes.subarray(from)));
    position += read;
  }
}

export function parseLine(bytes: Buffer): JournalLine | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return isJournalLine(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isJournalLine(value: unknown): value is JournalLine {
  if (typeof value !== 'object' || value === null) return false;
  if (!('key' in value) || typeof value.key !== 'string') return false;
  if (!('state' in value) || typeof value.state !== 'string') return false;
  if (!('result' in value)) return value.state !== 'done';
  return isCallResult(value.result);
}
