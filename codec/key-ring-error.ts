/** A key ring that cannot be used. Names the file and the remedy, and nothing of a key. */
export class KeyRingError extends Error {
  override readonly name = 'KeyRingError';
  readonly code = 'payload_keys';
}
