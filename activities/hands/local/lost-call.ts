import { keyOf } from '../../../hand/call-key.ts';
import { type JournalLine, journalPath, scanJournal } from '../../../hand/journal-file.ts';
import { OUTCOME } from '../../../hand/outcome.ts';
import type { CallKey, CallResult } from '../../../hand/wire.ts';

/** The worker waits for this scan, and every hand of its with it. */
const MAX_SCANNED_BYTES = 64 * 1024 * 1024;

/**
 * What became of a call whose instance is gone, by the journal it left. A call that ended there has
 * its result; one that had started has an unknown outcome.
 *
 * @param journal Folder of the journal. Nothing may write to it any more.
 */
export function resultOfLostCall(journal: string, key: CallKey): CallResult {
  const name = keyOf(key);
  let last: JournalLine | undefined;
  const scanned = scanJournal(
    journalPath(journal),
    (line) => {
      if (line.key === name) last = line;
    },
    MAX_SCANNED_BYTES,
  );
  switch (last?.state) {
    case 'done':
      return last.result ?? OUTCOME.unknown;
    case 'running':
      return OUTCOME.unknown;
    case 'cancelled':
      return OUTCOME.cancelled;
    default:
      return scanned === 'whole' ? OUTCOME.neverRan : OUTCOME.unknown;
  }
}
