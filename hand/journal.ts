import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { compactJournal } from './journal-compaction.ts';
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
 * result that says so: a running one has an unknown outcome, a queued one never ran.
 */
export function openJournal(folder: string): Journal {
  compactJournal(folder);
  const path = journalPath(folder);
  const index = new Map<string, IndexEntry>();
  scanJournal(path, ({ key, state, hash }, span) => {
    index.set(key, { state, hash: hash ?? index.get(key)?.hash, span });
  });
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
  const file = openSync(path, flags, 0o600);
  let end = fstatSync(file).size;
  // The next line must not join one that a power cut or a full disk tore.
  let isTorn = end > 0;

  const journal: Journal = {
    find: (key) => index.get(key),
    result(key) {
      const line = readLine(file, index.get(key)?.span);
      return line?.result ?? OUTCOME.unknown;
    },
    write(line, durability) {
      const start = isTorn ? '\n' : '';
      const bytes = Buffer.from(`${start}${JSON.stringify(line)}\n`);
      isTorn = true;
      try {
        writeWhole(file, bytes);
        isTorn = false;
      } finally {
        end = fstatSync(file).size;
      }
      const length = bytes.length - start.length - 1;
      const span = { offset: end - length - 1, length };
      if (durability === 'disk') fdatasyncSync(file);
      const hash = line.hash ?? index.get(line.key)?.hash;
      index.set(line.key, { state: line.state, hash, span });
    },
    close: () => closeSync(file),
  };
  closeUnfinished(journal, index);
  return journal;
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
