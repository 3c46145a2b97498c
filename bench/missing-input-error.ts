/** The bench needs something that the caller has not given. */
export class MissingInputError extends Error {
  override readonly name = 'MissingInputError';
}
