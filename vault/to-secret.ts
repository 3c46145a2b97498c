import { assertNever } from '../protocol/assert-never.ts';
import { FAILURE } from '../protocol/failure.ts';
import { SecretValue } from './secret-value.ts';
import type { StoredCredential } from './stored.ts';
import type { CredentialSecret } from './vault.ts';
import { VaultError } from './vault-error.ts';

/** The credential with the one value that its use needs. */
export function toSecret({ id, vault_id, auth, values }: StoredCredential): CredentialSecret {
  switch (values?.type) {
    case 'static_bearer':
      if (auth.type === values.type) return { ...auth, token: new SecretValue(values.token) };
      break;
    case 'mcp_oauth':
      if (auth.type === values.type) {
        return { ...auth, access_token: new SecretValue(values.access_token) };
      }
      break;
    case 'environment_variable':
      if (auth.type === values.type)
        return { ...auth, value: new SecretValue(values.secret_value) };
      break;
    case 'git':
      if (auth.type === values.type) return { ...auth, token: new SecretValue(values.token) };
      break;
    case undefined:
      break;
    default:
      assertNever(values);
  }
  throw new VaultError(
    FAILURE.vaultInvalid,
    `credential ${id} of vault ${vault_id} has no value of its kind, ${auth.type}: rotate it`,
  );
}
