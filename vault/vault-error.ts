import { FAILURE, type FailureType } from '../protocol/failure.ts';

export type VaultFailureType = Extract<FailureType, `Vault.${string}`>;

/** What a vault cannot do, in words: which vault or credential, and what to do. No secret is in it. */
export class VaultError extends Error {
  override readonly name = 'VaultError';
  readonly type: VaultFailureType;

  constructor(type: VaultFailureType, message: string, options?: ErrorOptions) {
    super(message, options);
    this.type = type;
  }

  /** For programs. */
  get code(): string {
    return this.type;
  }

  /** The same call may succeed later with nobody having changed it. */
  get isRetryable(): boolean {
    return this.type === FAILURE.vaultUnavailable || this.type === FAILURE.vaultSealed;
  }
}
