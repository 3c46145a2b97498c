import type { VariableGrant } from '../protocol/grant.ts';
import { type CredentialUse, nameOf } from './credential-use.ts';
import type { HandToken } from './hand-token.ts';
import { Refusal } from './refusal.ts';
import type { VariableValue } from './substitution.ts';
import type { Target } from './target.ts';
import { mayReach } from './variables-for.ts';

/** What is shorter is found everywhere: an answer could not be told from it. */
const MIN_LENGTH = 8;

/**
 * Values of the variables whose host a target is. What the credential says now counts besides what
 * the hand was given: a host that was taken from it gets nothing any more.
 *
 * @throws {Refusal} One of them is not to be had: then nothing goes to the host, since what comes back
 * from there could not be looked through.
 */
export async function valuesFor(
  use: CredentialUse,
  token: HandToken,
  variables: readonly VariableGrant[],
  target: Target,
): Promise<readonly VariableValue[]> {
  return Promise.all(variables.map((variable) => readValue(use, token, variable, target)));
}

async function readValue(
  use: CredentialUse,
  token: HandToken,
  { name, placeholder, header, body, ...reference }: VariableGrant,
  { host }: Target,
): Promise<VariableValue> {
  const credential = { vault_id: reference.vault_id, credential_id: reference.credential_id };
  const secret = await use.secretFor(token, credential);
  if (secret.type !== 'environment_variable') {
    throw refused(`variable ${name}: ${nameOf(credential)} is of type ${secret.type}`);
  }
  const value = secret.value.reveal();
  if (value.length < MIN_LENGTH) {
    throw refused(
      `variable ${name}: a value of fewer than ${MIN_LENGTH} characters cannot be hidden`,
    );
  }
  const { networking, injection_location: where } = secret;
  const hosts = networking.type === 'limited' ? networking.allowed_hosts : null;
  const isMeant = mayReach(hosts, host);
  return {
    name,
    placeholder,
    value,
    header: isMeant && header && where.header,
    body: isMeant && body && where.body,
  };
}

function refused(words: string): Refusal {
  return new Refusal({ status: 403, reason: 'credential', words });
}
