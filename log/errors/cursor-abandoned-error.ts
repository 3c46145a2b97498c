/** A cursor into a branch of the history that a reset took off the log. */
export class CursorAbandonedError extends Error {
  override readonly name = 'CursorAbandonedError';
  readonly code = 'cursor_abandoned';
  readonly cursor: string;

  constructor(cursor: string, sessionId: string) {
    super(
      `position ${cursor} is no longer in the log of session ${sessionId}: a reset abandoned the run ` +
        'that recorded it. Read again from a position before the reset, or from the beginning',
    );
    this.cursor = cursor;
  }
}
