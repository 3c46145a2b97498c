import {
  chmodSync,
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { compactJournal, JOURNAL_LIMITS, type JournalLimits } from './journal-compaction.ts';
import {
  type CallState,
  type JournalLine,
  journalPath,
  type LineSpan,
  parseLine,
  scanJournal,
} from './journal-file.ts';
import { OUTCOME } from './outcome.ts';
import type { CallResult } from './wire.ts';

/**
 * What happened to every call of a hand, on disk before it happens. Results stay on disk, so memory
 * grows by the number of calls only.
 */
export interface Journal {
  find(key: string): JournalEntry | undefined;
  /** Result of a call that is done. */
  result(key: string): CallResult;
  write(line: JournalLine, durability: Durability): void;
  close(): void;
}

export interface JournalEntry {
  readonly state: CallState;
  /** Undefined for a tombstone. */
  readonly hash: string | undefined;
}

/**
 * `disk` survives a power cut: what must be known before a command may run. `process` survives the
 * death of this process only; lost, it reads as "outcome unknown", which is safe.
 */
export type Durability = 'disk' | 'process';

type IndexEntry = JournalEntry & { readonly span: LineSpan };

/**
 * Opens the journal in `folder`. Calls that an earlier daemon left unfinished become done with a
 * result that says so: a running one has an unknown outcome, a queued one never ran. What a command
 * has put in the journal's place is removed: no instance that outlives it is asked for its calls.
 */
export function openJournal(folder: string, limits: JournalLimits = JOURNAL_LIMITS): Journal {
  repairJournal(folder);
  let open = openFile(folder, limits);
  const write: Journal['write'] = (line, durability) => {
    append(open, line, durability);
    if (open.end > open.longEnd) open = reopen(folder, open, limits);
  };
  const journal: Journal = {
    find: (key) => open.index.get(key),
    result: (key) => readLine(open.file, open.index.get(key)?.span)?.result ?? OUTCOME.unknown,
    write,
    close: () => closeSync(open.file),
  };
  closeUnfinished(journal, open.index);
  return journal;
}

interface OpenFile {
  readonly file: number;
  readonly index: Map<string, IndexEntry>;
  end: number;
  /** Where it is long: not soon after it was shortened, however many calls it holds. */
  longEnd: number;
  /** The next line must not join one that a power cut or a full disk tore. */
  isTorn: boolean;
}

function openFile(folder: string, limits: JournalLimits): OpenFile {
  compactJournal(folder, limits);
  const path = journalPath(folder);
  const index = new Map<string, IndexEntry>();
  scanJournal(path, ({ key, state, hash }, span) => {
    index.set(key, { state, hash: hash ?? index.get(key)?.hash, span });
  });
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
  const file = openSync(path, flags, 0o600);
  const end = fstatSync(file).size;
  return { file, index, end, longEnd: Math.max(limits.maxBytes, 2 * end), isTorn: end > 0 };
}

/** Shortens the journal while it is in use; what cannot be shortened now is used as it is. */
function reopen(folder: string, open: OpenFile, limits: JournalLimits): OpenFile {
  try {
    const shorter = openFile(folder, limits);
    const isWhole = [...open.index.keys()].every((key) => shorter.index.has(key));
    closeSync(isWhole ? open.file : shorter.file);
    open.longEnd = 2 * open.end;
    return isWhole ? shorter : open;
  } catch (error) {
    console.error('The journal could not be shortened:', error);
    open.longEnd = 2 * open.end;
    return open;
  }
}

function append(open: OpenFile, line: JournalLine, durability: Durability): void {
  const { file, index } = open;
  const start = open.isTorn ? '\n' : '';
  const bytes = Buffer.from(`${start}${JSON.stringify(line)}\n`);
  open.isTorn = true;
  try {
    writeWhole(file, bytes);
    open.isTorn = false;
  } finally {
    open.end = fstatSync(file).size;
  }
  const length = bytes.length - start.length - 1;
  const span = { offset: open.end - length - 1, length };
  if (durability === 'disk') fdatasyncSync(file);
  const hash = line.hash ?? index.get(line.key)?.hash;
  index.set(line.key, { state: line.state, hash, span });
}

function repairJournal(folder: string): void {
  const path = journalPath(folder);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (stats.isFile()) chmodSync(path, 0o600);
  else rmSync(path, { recursive: true, force: true });
}

function closeUnfinished(journal: Journal, index: ReadonlyMap<string, IndexEntry>): void {
  for (const [key, { state }] of [...index]) {
    if (state === 'running') {
      journal.write({ key, state: 'done', result: OUTCOME.unknown }, 'process');
    }
    if (state === 'queued') {
      journal.write({ key, state: 'done', result: OUTCOME.neverRan }, 'process');
    }
  }
}

function readLine(file: number, span: LineSpan | undefined): JournalLine | undefined {
  if (span === undefined) return undefined;
  const bytes = Buffer.alloc(span.length);
  readSync(file, bytes, 0, span.length, span.offset);
  return parseLine(bytes);
}

function writeWhole(file: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(file, bytes, written);
  }
}
