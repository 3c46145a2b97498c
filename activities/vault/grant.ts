import { createHash } from 'node:crypto';
import type { CredentialInfo } from '../../protocol/credential.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type {
  GrantActivities,
  GrantInput,
  HandGrants,
  VariableGrant,
} from '../../protocol/grant.ts';
import type { Vault } from '../../vault/vault.ts';
import { VaultError } from '../../vault/vault-error.ts';
import type { Authority } from './authority.ts';
import { callingExecution } from './calling-execution.ts';
import { toVaultFailure } from './to-vault-failure.ts';

const PLACEHOLDER = 'drover_placeholder_';
/** What programs are started with, and how they find the gateway: not for a credential to change. */
const RESERVED =
  /^(PATH|HOME|SHELL|USER|LOGNAME|PWD|IFS|ENV|TMPDIR|LANG|TERM|BASH_\w+|LD_\w+|DROVER_\w+|GIT_(CONFIG|SSL|SSH|EXEC|PROXY)\w*|NODE_(OPTIONS|EXTRA_CA_CERTS|USE_ENV_PROXY)|SSL_CERT_(FILE|DIR)|(CURL|REQUESTS|AWS)_CA_BUNDLE|PIP_CERT|CARGO_HTTP_CAINFO|\w*_PROXY|(all|http|https|ftp|no)_proxy)$/;

/** Says which variables a hand of the calling session gets: names and placeholders, no value. */
export function createGrantActivities(deps: {
  readonly vault: Pick<Vault, 'credentials'>;
  readonly authority: Authority;
}): GrantActivities {
  return {
    async grant(input) {
      try {
        return await grant(deps, input);
      } catch (error) {
        throw toVaultFailure(error);
      }
    },
  };
}

async function grant(
  { vault, authority }: Parameters<typeof createGrantActivities>[0],
  { hand, vault_ids }: GrantInput,
): Promise<HandGrants> {
  const execution = callingExecution();
  const variables = new Map<string, VariableGrant>();
  for (const vaultId of vault_ids) {
    await authority.check(execution, vaultId);
    for (const credential of await vault.credentials(vaultId)) {
      const variable = toVariable(credential, hand.chain_id);
      // The vault that is named first has the word.
      if (variable !== undefined && !variables.has(variable.name)) {
        variables.set(variable.name, variable);
      }
    }
  }
  return { variables: [...variables.values()] };
}

function toVariable(
  { id, vault_id, auth }: CredentialInfo,
  chainId: string,
): VariableGrant | undefined {
  if (auth.type !== 'environment_variable') return undefined;
  const { secret_name: name, networking, injection_location: where } = auth;
  if (RESERVED.test(name)) {
    throw new VaultError(
      FAILURE.vaultInvalid,
      `credential ${id} of vault ${vault_id} is for variable ${name}, which decides how the programs of ` +
        'a hand run: archive it, and make one of another name',
    );
  }
  return {
    name,
    // The same for each hand of a session: files that hold it stay good.
    placeholder: `${PLACEHOLDER}${hashOf([chainId, vault_id, id])}`,
    vault_id,
    credential_id: id,
    hosts: networking.type === 'limited' ? networking.allowed_hosts : null,
    header: where.header,
    body: where.body,
  };
}

function hashOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}
