import { lookup } from 'node:dns/promises';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { ApplicationFailure } from '@temporalio/common';
import { type EgressKeys, EgressKeysError } from '../../../egress/keys.ts';
import type { HandRecipe } from '../../../k8s/hand-recipe.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type { ProvisionInput } from '../../../protocol/hand.ts';
import {
  gatewayToken,
  gatewayVariables,
  hasRepositories,
  placeholders,
  usesCredentials,
  type WayOut,
} from '../gateway-token.ts';

/** How hands with `allowed_hosts` get out. */
export interface HandEgress {
  /** Where pods reach the proxy. A name is resolved by the worker: such hands resolve none. */
  readonly proxy: { readonly host: string; readonly port: number };
  /** Asked for each hand. */
  readKeys(): EgressKeys;
  /** Of the gateway's authority, as PEM. Asked for hands with credentials. */
  readCertificate(): string;
}

export interface EgressingHand {
  readonly key: string;
  readonly pod: V1Pod;
  readonly job: V1Job;
}

/** A Job starts to count its deadline a moment after it was created. */
const STARTED_LATER_SECONDS = 60;

/**
 * What the cluster's network policies know a hand's pod by.
 *
 * @throws {ApplicationFailure} The worker has no way out to some hosts only, or with credentials.
 */
export function networkOf(input: WayOut, egress: HandEgress | undefined): HandRecipe['network'] {
  const { networking } = input.environment.definition;
  if (usesCredentials(input)) {
    if (egress !== undefined) return 'limited';
    throw unsupported('cannot give hands the use of credentials');
  }
  if (networking.type === 'unrestricted') return 'unrestricted';
  if (networking.allowed_hosts.length === 0) return 'none';
  if (egress !== undefined) return 'limited';
  throw unsupported('cannot let hands out to networking.allowed_hosts');
}

function unsupported(what: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: FAILURE.sandboxUnsupportedConfig,
    message:
      `Hand provider "kubernetes" ${what}: its worker has no egress proxy. Set DROVER_EGRESS_PROXY and ` +
      'DROVER_EGRESS_KEYS (see k8s/README.md); or name no vaults, and give no hosts for no network, or ' +
      'use networking of type "unrestricted".',
    nonRetryable: true,
  });
}

/** What a hand is told of its way out. */
export interface EgressAccess {
  readonly variables: Readonly<Record<string, string>>;
  /** PEM of the authority that it is to trust. */
  readonly authority?: string;
}

/**
 * The way out of a hand through the gateway, if it has one: the same for every attempt to make a hand,
 * as its configuration must be.
 *
 * @throws {ApplicationFailure} The worker's key or the proxy's name is of no use now.
 */
export async function egressAccess(
  input: ProvisionInput,
  egress: HandEgress | undefined,
  hand: EgressingHand,
): Promise<EgressAccess> {
  const held = placeholders(input);
  if (networkOf(input, egress) !== 'limited' || egress === undefined) return { variables: held };
  const token = gatewayToken(fromKeys(egress.readKeys), input, {
    key: hand.key,
    addresses: addressesOf(hand.pod),
    expires: expiryOf(hand.job),
  });
  const way = {
    address: await addressOf(egress),
    token,
    hasRepositories: hasRepositories(input),
  };
  const variables = { ...held, ...gatewayVariables(way) };
  if (!usesCredentials(input)) return { variables };
  return { variables, authority: fromKeys(egress.readCertificate) };
}

function fromKeys<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof EgressKeysError) throw unavailable(`DROVER_EGRESS_KEYS: ${error.message}`);
    throw error;
  }
}

async function addressOf({ proxy: { host, port } }: HandEgress): Promise<string> {
  try {
    const found = (await lookup(host, { all: true })).map(({ address }) => address).sort();
    const [address = ''] = found;
    return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw unavailable(`DROVER_EGRESS_PROXY: ${host} cannot be resolved (${code}).`);
  }
}

function addressesOf({ status }: V1Pod): string[] {
  const addresses = (status?.podIPs ?? [{ ip: status?.podIP }]).flatMap(({ ip }) => ip ?? []);
  if (addresses.length === 0) throw unavailable('The pod has no address yet.');
  return addresses;
}

/** When the Job ends whatever runs in it, or a little later: the same however much is known of it. */
function expiryOf({ metadata, spec }: V1Job): number {
  const createdMs = new Date(metadata?.creationTimestamp ?? Number.NaN).getTime();
  const lifetimeSeconds = spec?.activeDeadlineSeconds ?? Number.NaN;
  return Math.floor(createdMs / 1000) + lifetimeSeconds + STARTED_LATER_SECONDS;
}

/** Tried again: an operator can mend it meanwhile. */
function unavailable(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: FAILURE.sandboxUnavailable, message });
}
