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
const NEWLINE = 0x0a;

export function journalPath(folder: string): string {
  return `${folder}/${JOURNAL_FILE}`;
}

/**
 * Calls `onLine` for every whole line. What is no line of ours (torn by a power cut, or written by
 * a command in the sandbox) is skipped. Never follows a link out of the folder.
 *
 * @returns false when there is no journal to read.
 */
export function scanJournal(
  path: string,
  onLine: (line: JournalLine, span: LineSpan) => void,
): boolean {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    if (!fstatSync(file).isFile()) return false;
    scan(file, onLine);
    return true;
  } finally {
    closeSync(file);
  }
}

function scan(file: number, onLine: (line: JournalLine, span: LineSpan) => void): void {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let rest = Buffer.alloc(0);
  let offset = 0;
  for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) {
    const bytes = Buffer.concat([rest, chunk.subarray(0, read)]);
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      const line = parseLine(bytes.subarray(start, end));
      if (line !== undefined) onLine(line, { offset: offset + start, length: end - start });
      start = end + 1;
    }
    rest = bytes.subarray(start);
    offset += start;
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
