import { setTimeout as delay } from 'node:timers/promises';
import type { CredentialReference } from '../protocol/credential.ts';
import { FAILURE } from '../protocol/failure.ts';
import type { CredentialSecret, Vault } from '../vault/vault.ts';
import { VaultError } from '../vault/vault-error.ts';
import type { HandToken } from './hand-token.ts';
import { Refusal } from './refusal.ts';

/** The one way of the gateway to a credential. */
export interface CredentialUse {
  /**
   * Whether the hand is held still, and its session may use the vault.
   *
   * @throws {Refusal}
   */
  admit(token: HandToken, vaultId: string): Promise<void>;
  /**
   * A credential with its value, for the hand whose token this is and only now.
   *
   * @throws {Refusal} The session does not hold that hand, may not use the vault, or the vault does
   * not answer: then nothing goes on.
   */
  secretFor(token: HandToken, reference: CredentialReference): Promise<CredentialSecret>;
}

export interface CredentialUseOptions {
  readonly vault: Pick<Vault, 'secret'>;
  /** @throws {Refusal} */
  checkHeld(token: HandToken): Promise<void>;
  /** @throws {VaultError} The hand's session may not use the vault. */
  checkPermitted(token: HandToken, vaultId: string): Promise<void>;
}

/** A client waits this long for a vault that is slow. */
const VAULT_MS = 10_000;

export function createCredentialUse(options: CredentialUseOptions): CredentialUse {
  const { vault, checkHeld, checkPermitted } = options;
  const admit = async (token: HandToken, vaultId: string): Promise<void> => {
    await checkHeld(token);
    await answered(`vault ${vaultId}`, checkPermitted(token, vaultId));
  };
  return {
    admit,
    async secretFor(token, reference) {
      await admit(token, reference.vault_id);
      return answered(nameOf(reference), vault.secret(reference));
    },
  };
}

/** @param what Is asked for. */
async function answered<Result>(what: string, asked: Promise<Result>): Promise<Result> {
  return inTime(what, asked).catch((error: unknown) => {
    throw toRefusal(what, error);
  });
}

async function inTime<Result>(what: string, asked: Promise<Result>): Promise<Result> {
  const timer = new AbortController();
  const late = delay(VAULT_MS, undefined, { signal: timer.signal }).then(() => {
    const words = `${what}: the vault did not answer in ${VAULT_MS / 1000} s`;
    throw new Refusal({ status: 504, reason: 'vault', words });
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    timer.abort();
    for (const left of [asked, late]) left.catch(() => {});
  }
}

function toRefusal(what: string, error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (!(error instanceof VaultError)) {
    const words = `${what}: the gateway failed to read it`;
    return new Refusal({ status: 502, reason: 'vault', words, cause: error });
  }
  const said = toLine(error.message);
  const words = said.includes(what) ? said : `${what}: ${said}`;
  if (error.isRetryable) return new Refusal({ status: 503, reason: 'vault', words });
  const status = error.type === FAILURE.vaultKeyInvalid ? 502 : 403;
  return new Refusal({ status, reason: 'credential', words });
}

export function nameOf({ vault_id, credential_id }: CredentialReference): string {
  return `credential ${credential_id} of vault ${vault_id}`;
}

/** Words go into a status line. */
function toLine(words: string): string {
  return words.replace(/[^\x20-\x7e]+/g, ' ').trim();
}
