/**
 * A payload of this ring whose key the ring lacks: whoever gets it anew once the key is there can
 * read it. Thrown by a worker's codec, so that a task waits for the key instead of going on without.
 */
export class PayloadUnreadableError extends Error {
  override readonly name = 'PayloadUnreadableError';
}
