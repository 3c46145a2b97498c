import { ApplicationFailure } from '@temporalio/common';
import { gitVariables } from '../../egress/git-variables.ts';
import { type HandToken, signToken } from '../../egress/hand-token.ts';
import type { EgressKeys } from '../../egress/keys.ts';
import { MAX_TOKEN_CHARACTERS } from '../../egress/proxy.ts';
import { proxyVariables } from '../../egress/proxy-variables.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { ProvisionInput } from '../../protocol/hand.ts';
import { withCredential } from '../../protocol/resource.ts';
import { gatewayRepositories } from './gateway-repositories.ts';

// What a hand is told of the gateway, and the gateway of the hand, by whatever provider.

/** A hand as far as its way out depends on it. */
export interface WayOut extends Pick<ProvisionInput, 'grants'> {
  readonly resources?: ProvisionInput['resources'];
  readonly environment: Pick<ProvisionInput['environment'], 'definition'>;
}

/**
 * The hand has credentials to use: then everything that leaves it goes through the gateway, also where
 * its network is not limited, so that nothing comes back to it unread.
 */
export function usesCredentials(input: WayOut): boolean {
  return hasRepositories(input) || usesVariables(input);
}

/** Through the gateway, whatever other network there is or is not. */
export function hasRepositories({ resources = [] }: WayOut): boolean {
  return withCredential(resources).length > 0;
}

function usesVariables({ environment, grants }: WayOut): boolean {
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
  const { hand, environment, grants, resources } = input;
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
    repositories: [...gatewayRepositories(resources)],
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

/** What a hand's commands show the gateway, and where. */
export interface GatewayAccess {
  /** Where the hand reaches it, like `10.0.0.5:3128`. */
  readonly address: string;
  readonly token: string;
  readonly hasRepositories: boolean;
}

/** Variables by which the commands of a hand find the gateway. */
export function gatewayVariables(access: GatewayAccess): Readonly<Record<string, string>> {
  const { address, token } = access;
  return {
    ...proxyVariables(`http://hand:${token}@${address}`),
    ...(access.hasRepositories ? gitVariables(`http://${address}`, token) : {}),
  };
}
