import { ApplicationFailure } from '@temporalio/common';
import { localAddress } from '../../../egress/address-of.ts';
import { type EgressKeys, EgressKeysError } from '../../../egress/keys.ts';
import { SANDBOX } from '../../../k8s/sandbox/layout.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type { ProvisionInput } from '../../../protocol/hand.ts';
import {
  gatewayToken,
  gatewayVariables,
  hasRepositories,
  placeholders,
  usesCredentials,
} from '../gateway-token.ts';
import type { EgressAccess } from '../kubernetes/hand-egress.ts';
import type { Claim } from './claims.ts';

/** What hands must know of the gateway. */
export interface ContainerGateway {
  /** Asked for each hand. */
  readKeys(): EgressKeys;
  /** Of the gateway's authority, as PEM. */
  readCertificate(): string;
}

/** The session is asked for its hand with each use: what ends a token is the end of its hand. */
const TOKEN_SECONDS = 366 * 86_400;

/**
 * The way out of a hand in a container, whose own network leads nowhere: its daemon carries what comes
 * to a port to the gateway, and says which instance it is. It is the same for every attempt to make the
 * hand, as its configuration must be.
 *
 * @throws {ApplicationFailure} The gateway's keys are of no use now.
 */
export function containerAccess(
  input: ProvisionInput,
  owner: string,
  { instance, claimed_at }: Claim,
  gateway: ContainerGateway,
): EgressAccess {
  const held = placeholders(input);
  const { networking } = input.environment.definition;
  const isOnline = networking.type === 'unrestricted' || networking.allowed_hosts.length > 0;
  if (!isOnline && !usesCredentials(input)) return { variables: held };
  const token = gatewayToken(fromKeys(gateway.readKeys), input, {
    key: owner,
    addresses: [localAddress(instance)],
    expires: claimed_at + TOKEN_SECONDS,
  });
  const address = `127.0.0.1:${SANDBOX.gatewayPort}`;
  const told = gatewayVariables({ address, token, hasRepositories: hasRepositories(input) });
  const variables = { ...held, ...told };
  if (!usesCredentials(input)) return { variables };
  return { variables, authority: fromKeys(gateway.readCertificate) };
}

/** Tried again: an operator can mend it meanwhile. */
function fromKeys<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof EgressKeysError)) throw error;
    const message = `DROVER_EGRESS_KEYS: ${error.message}`;
    throw ApplicationFailure.create({ type: FAILURE.sandboxUnavailable, message });
  }
}
