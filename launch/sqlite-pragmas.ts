/**
 * How a server that Drover starts keeps its database. Without a write-ahead log every hop of a
 * session waits for two more writes to the disk: 13 ms instead of 9 on one machine.
 */
export const SQLITE_PRAGMAS: readonly string[] = ['journal_mode=wal'];
