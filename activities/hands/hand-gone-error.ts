/** The instance does not exist any more, or cannot be reached. */
export class HandGoneError extends Error {
  override readonly name = 'HandGoneError';
}
