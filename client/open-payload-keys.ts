import { openKeyRing } from '../codec/key-ring-file.ts';
import type { PayloadKeys } from '../codec/payload-codec.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';

/**
 * The key ring that was given, else the one that DROVER_PAYLOAD_KEYS names: where payloads are
 * encrypted, a program that forgot it must not send them in the clear.
 *
 * @param given a path; null: none
 * @param mayBeConfigured whether the variable counts where nothing was given
 * @throws InvalidInputError naming the file and the remedy
 */
export async function openPayloadKeys(
  given: string | null | undefined,
  mayBeConfigured: boolean,
): Promise<PayloadKeys> {
  const { DROVER_PAYLOAD_KEYS: configured = '' } = process.env;
  const path = given ?? (given === undefined && mayBeConfigured ? configured : '');
  if (path === '') return null;
  try {
    return await openKeyRing(path);
  } catch (error) {
    throw new InvalidInputError(error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
}
