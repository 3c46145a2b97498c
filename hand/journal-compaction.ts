import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { type JournalLine, journalPath, type LineSpan, scanJournal } from './journal-file.ts';
import { OUTCOME } from './outcome.ts';

export interface JournalLimits {
  /** Above it a journal is shortened. */
  readonly maxBytes: number;
  /** How much of its end keeps its results. */
  readonly keptBytes: number;
}

export const JOURNAL_LIMITS: JournalLimits = {
  maxBytes: 64 * 1024 * 1024,
  keptBytes: 16 * 1024 * 1024,
};

/** No journal of ours gets here; a command may have made it so long that it cannot be read. */
const MAX_SCANNED_BYTES = 1024 * 1024 * 1024;

/**
 * Shortens a journal that has grown long: every call stays known, so that none can run again, but
 * only late ones keep their result. Early results were told long ago.
 */
export function compactJournal(folder: string, limits: JournalLimits = JOURNAL_LIMITS): void {
  const path = journalPath(folder);
  const lines = new Map<string, { readonly line: JournalLine; readonly end: number }>();
  let size = 0;
  const noteLine = ({ result: _, ...line }: JournalLine, { offset, length }: LineSpan): void => {
    const hash = line.hash ?? lines.get(line.key)?.line.hash;
    size = offset + length;
    lines.set(line.key, { line: hash === undefined ? line : { ...line, hash }, end: size });
  };
  const scanned = scanJournal(path, noteLine, MAX_SCANNED_BYTES);
  if (size <= limits.maxBytes && scanned !== 'part') return;

  const draft = `${path}.draft`;
  // A command can have put anything there: a pipe would hold up whoever opens it.
  rmSync(draft, { recursive: true, force: true });
  const file = openSync(draft, 'wx', 0o600);
  const write = (line: JournalLine): void => void writeSync(file, `${JSON.stringify(line)}\n`);
  const isEarly = (key: string): boolean => (lines.get(key)?.end ?? 0) < size - limits.keptBytes;
  for (const [key, { line }] of lines) {
    if (!isEarly(key)) continue;
    write(line.state === 'done' ? { ...line, result: OUTCOME.forgotten } : line);
  }
  const copyLine = (line: JournalLine): void => {
    if (!isEarly(line.key)) write(line);
  };
  scanJournal(path, copyLine, MAX_SCANNED_BYTES);
  fsyncSync(file);
  closeSync(file);
  renameSync(draft, path);
}
