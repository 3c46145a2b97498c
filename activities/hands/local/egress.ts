import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { NetworkConfig, SandboxAskCallback } from '@anthropic-ai/sandbox-runtime';
import type { EnvironmentDefinition } from '../../../protocol/environment.ts';

type Networking = EnvironmentDefinition['networking'];

/** How a hand may use the network; undefined when not at all. */
export interface Egress {
  readonly network: NetworkConfig;
  readonly ask: SandboxAskCallback | undefined;
}

/**
 * Everything goes through the runtime's proxies, which also refuse names that resolve to this
 * machine. `unrestricted` means the network, not this machine: on its loopback there are servers
 * that ask nobody's name.
 */
export function egressFor(networking: Networking): Egress | undefined {
  if (networking.type === 'unrestricted') {
    return {
      network: { allowedDomains: [], deniedDomains: ['localhost', '*.localhost'] },
      ask: async ({ host }) => !isThisMachine(host),
    };
  }
  if (networking.allowed_hosts.length === 0) return undefined;
  const network = {
    allowedDomains: networking.allowed_hosts,
    deniedDomains: [],
    strictAllowlist: true,
  };
  return { network, ask: undefined };
}

/** Everything goes to one port of this machine, whatever protocol of a proxy it speaks. */
export function egressThrough(port: number): Egress {
  return {
    network: { allowedDomains: [], deniedDomains: [], httpProxyPort: port, socksProxyPort: port },
    ask: undefined,
  };
}

function isThisMachine(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '');
  const version = isIP(address);
  if (version === 0) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  return ownAddresses().check(address, family);
}

function ownAddresses(): BlockList {
  const addresses = new BlockList();
  addresses.addSubnet('0.0.0.0', 8);
  addresses.addSubnet('127.0.0.0', 8);
  addresses.addSubnet('169.254.0.0', 16);
  addresses.addAddress('::', 'ipv6');
  addresses.addAddress('::1', 'ipv6');
  addresses.addSubnet('fe80::', 10, 'ipv6');
  for (const own of Object.values(networkInterfaces()).flatMap((list) => list ?? [])) {
    addresses.addAddress(own.address, own.family === 'IPv4' ? 'ipv4' : 'ipv6');
  }
  return addresses;
}
