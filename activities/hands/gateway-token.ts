import { ApplicationFailure } from '@temporalio/common';
import { type HandToken, signToken } from '../../egress/hand-token.ts';
import type { EgressKeys } from '../../egress/keys.ts';
import { MAX_TOKEN_CHARACTERS } from '../../egress/proxy.ts';
import { proxyVariables } from '../../egress/proxy-variables.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { ProvisionInput } from '../../protocol/hand.ts';

// What a hand is told of the gateway, and the gateway of the hand, by whatever provider.

/** A hand as far as its way out depends on it. */
export interface WayOut extends Pick<ProvisionInput, 'grants'> {
  readonly environment: Pick<ProvisionInput['environment'], 'definition'>;
}

/**
 * The hand has credentials to use: then everything that leaves it goes through the gateway, also where
 * its network is not limited, so that nothing comes back to it unread.
 */
export function usesCredentials({ environment, grants }: WayOut): boolean {
  const { networking } = environment.definition;
  // Without a network a variable is a placeholder and no more.
  const isOnline = networking.type === 'unrestricted' || networking.allowed_hosts.length > 0;
  return isOnline && (grants?.variables.length ?? 0) > 0;
}

export interface TokenHolder {
  /** The hand's key. */
  readonly key: string;
  /** From where the token is good. */
  readonly addresses: readonly string[];
  /** Seconds since 1970. */
  readonly expires: number;
}

/**
 * @throws {ApplicationFailure} It names more than a request can carry.
 */
export function gatewayToken(keys: EgressKeys, input: ProvisionInput, holder: TokenHolder): string {
  const { hand, environment, grants } = input;
  const { networking } = environment.definition;
  const token = signToken(keys, {
    session: hand.session_id,
    chain_id: hand.chain_id,
    name: hand.name,
    generation: hand.generation,
    hand: holder.key,
    addresses: [...holder.addresses],
    hosts: networking.type === 'limited' ? networking.allowed_hosts : null,
    variables: [...(grants?.variables ?? [])],
    expires: holder.expires,
  } satisfies Partial<HandToken>);
  if (token.length <= MAX_TOKEN_CHARACTERS) return token;
  throw ApplicationFailure.create({
    type: FAILURE.sandboxUnsupportedConfig,
    message:
      `Hand ${hand.name} of session ${hand.session_id} may use more than its token can name: give the ` +
      'session fewer vaults, variables or repositories, or the environment fewer allowed_hosts.',
    nonRetryable: true,
  });
}

/** Variables of a hand's commands that hold placeholders. */
export function placeholders({ grants }: WayOut): Readonly<Record<string, string>> {
  return Object.fromEntries(
    (grants?.variables ?? []).map(({ name, placeholder }) => [name, placeholder]),
  );
}

/**
 * Variables by which the commands of a hand find the gateway.
 *
 * @param address Where the hand reaches it, like `10.0.0.5:3128`.
 */
export function gatewayVariables(address: string, token: string): Readonly<Record<string, string>> {
  return proxyVariables(`http://hand:${token}@${address}`);
}
