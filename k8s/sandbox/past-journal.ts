import { existsSync } from 'node:fs';
import { type Journal, openJournal } from '../../hand/journal.ts';
import { journalPath } from '../../hand/journal-file.ts';

/**
 * A journal that also knows the calls of the sandboxes before this one, whose journals came with the
 * workspace: such a call answers from the record, and does not run anew.
 *
 * @param options.isOwn Keys of calls that each sandbox runs for itself.
 */
export function withPastCalls(
  own: Journal,
  options: { readonly folder: string; isOwn(key: string): boolean },
): Journal {
  let past: Journal | undefined;
  /** It comes after the daemon has started, and before the first call. */
  const pastOf = (key: string): Journal | undefined => {
    if (options.isOwn(key)) return undefined;
    if (past === undefined && existsSync(journalPath(options.folder))) {
      past = openJournal(options.folder);
    }
    return past;
  };
  return {
    find: (key) => own.find(key) ?? pastOf(key)?.find(key),
    result(key) {
      const holder = own.find(key) === undefined ? pastOf(key) : undefined;
      return (holder ?? own).result(key);
    },
    write: (line, durability) => own.write(line, durability),
    close() {
      own.close();
      past?.close();
    },
  };
}
