import { lookup } from 'node:dns/promises';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { ApplicationFailure } from '@temporalio/common';
import { signToken } from '../../../egress/hand-token.ts';
import { type EgressKeys, EgressKeysError } from '../../../egress/keys.ts';
import { proxyVariables } from '../../../egress/proxy-variables.ts';
import type { HandRecipe } from '../../../k8s/hand-recipe.ts';
import type { EnvironmentDefinition } from '../../../protocol/environment.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type { HandName } from '../../../protocol/hand.ts';

/** How hands with `allowed_hosts` get out. */
export interface HandEgress {
  /** Where pods reach the proxy. A name is resolved by the worker: such hands resolve none. */
  readonly proxy: { readonly host: string; readonly port: number };
  /** Asked for each hand. */
  readKeys(): EgressKeys;
}

export interface EgressingHand {
  readonly name: HandName;
  readonly key: string;
  readonly pod: V1Pod;
  readonly job: V1Job;
}

type Networking = EnvironmentDefinition['networking'];

/** A Job starts to count its deadline a moment after it was created. */
const STARTED_LATER_SECONDS = 60;

/**
 * What the cluster's network policies know a hand's pod by.
 *
 * @throws {ApplicationFailure} The worker has no way out to some hosts only.
 */
export function networkOf(
  networking: Networking,
  egress: HandEgress | undefined,
): HandRecipe['network'] {
  if (networking.type === 'unrestricted') return 'unrestricted';
  if (networking.allowed_hosts.length === 0) return 'none';
  if (egress !== undefined) return 'limited';
  throw ApplicationFailure.create({
    type: FAILURE.sandboxUnsupportedConfig,
    message:
      'Hand provider "kubernetes" cannot let hands out to networking.allowed_hosts: its worker has no ' +
      'egress proxy. Set DROVER_EGRESS_PROXY and DROVER_EGRESS_KEYS (see k8s/README.md), give no ' +
      'hosts for no network, or use networking of type "unrestricted".',
    nonRetryable: true,
  });
}

/**
 * Variables that tell a hand's commands of the proxy: none, unless it has hosts to reach. They are
 * the same for every attempt to make a hand, as its configuration must be.
 *
 * @throws {ApplicationFailure} The worker's key or the proxy's name is of no use now.
 */
export async function egressVariables(
  networking: Networking,
  egress: HandEgress | undefined,
  hand: EgressingHand,
): Promise<Readonly<Record<string, string>>> {
  if (networking.type !== 'limited' || networkOf(networking, egress) !== 'limited') return {};
  if (egress === undefined) return {};
  const token = signToken(keysOf(egress), {
    session: hand.name.session_id,
    chain_id: hand.name.chain_id,
    name: hand.name.name,
    generation: hand.name.generation,
    hand: hand.key,
    addresses: addressesOf(hand.pod),
    hosts: networking.allowed_hosts,
    variables: [],
    repositories: [],
    expires: expiryOf(hand.job),
  });
  return proxyVariables(`http://hand:${token}@${await addressOf(egress)}`);
}

function keysOf({ readKeys }: HandEgress): EgressKeys {
  try {
    return readKeys();
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
