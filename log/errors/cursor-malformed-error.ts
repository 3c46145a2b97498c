/** A cursor that no event of any log ever had. */
export class CursorMalformedError extends Error {
  override readonly name = 'CursorMalformedError';
  readonly code = 'cursor_malformed';
  readonly cursor: string;

  constructor(cursor: string) {
    super(`"${cursor}" is not a position of a log; pass the position of an event that was read`);
    this.cursor = cursor;
  }
}
