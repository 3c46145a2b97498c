import { ApplicationFailure } from '@temporalio/common';
import { localAddress } from '../../../egress/address-of.ts';
import type { EgressKeys } from '../../../egress/keys.ts';
import { gatewaySocket } from '../../../egress/local-listener.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type { ProvisionInput } from '../../../protocol/hand.ts';
import { gatewayToken, hasRepositories, placeholders, usesCredentials } from '../gateway-token.ts';
import { writeHandAccess } from './hand-access.ts';
import { openHandFolder, openSocketFolder } from './hand-folder.ts';

/** What a hand must know of the gateway of this machine. */
export interface LocalGateway {
  /** Asked for each hand. */
  readKeys(): EgressKeys;
  /** Of the gateway's authority, as PEM. */
  readCertificate(): string;
}

/** The session is asked for its hand with each use: what ends a token is the end of its hand. */
const TOKEN_SECONDS = 366 * 86_400;

/**
 * Leaves for the supervisor of a hand what the hand is to use, if it is anything.
 *
 * @param instance Of the supervisor: a hand on this machine has no other address.
 */
export function giveAccess(
  input: ProvisionInput,
  instance: string,
  { stateFolder, gateway }: { readonly stateFolder: string; readonly gateway?: LocalGateway },
): void {
  const variables = placeholders(input);
  if (Object.keys(variables).length === 0 && !usesCredentials(input)) return;
  const folder = openHandFolder(stateFolder, input.hand);
  if (!usesCredentials(input)) {
    writeHandAccess(folder, instance, { variables, gateway: null });
    return;
  }
  if (gateway === undefined) throw noGateway();
  const token = gatewayToken(gateway.readKeys(), input, {
    key: instance,
    addresses: [localAddress(instance)],
    expires: Math.floor(Date.now() / 1000) + TOKEN_SECONDS,
  });
  writeHandAccess(folder, instance, {
    variables,
    gateway: {
      socket: gatewaySocket(openSocketFolder(stateFolder)),
      hand: instance,
      token,
      has_repositories: hasRepositories(input),
      authority: gateway.readCertificate(),
    },
  });
}

function noGateway(): ApplicationFailure {
  return ApplicationFailure.create({
    type: FAILURE.sandboxUnsupportedConfig,
    message: 'This worker has no gateway, by which alone local hands have the use of vaults.',
    nonRetryable: true,
  });
}
