import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Not of the public network, or of one machine, one link or one cluster. */
const NOT_PUBLIC_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
] as const;

/** All that is public in version 6 lies in it: not what maps or embeds version 4. */
const GLOBAL_IPV6 = '2000::/3';
const NOT_PUBLIC_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'] as const;

const notPublic = toBlockList([...NOT_PUBLIC_IPV4, ...NOT_PUBLIC_IPV6]);
const global = toBlockList([GLOBAL_IPV6]);
const mapped = toBlockList(['::ffff:0:0/96']);

/**
 * @param networks Like `10.1.0.0/16`.
 * @throws Error naming the one that is none.
 */
export function toBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix = ''] = network.split('/');
    const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (isIPv4(address) && bits <= 32) list.addSubnet(address, bits, 'ipv4');
    else if (isIPv6(address) && bits <= 128) list.addSubnet(address, bits, 'ipv6');
    else throw new Error(`"${network}" is no network such as 10.1.0.0/16`);
  }
  return list;
}

/** @param also Networks that an operator lets be reached though they are not public. */
export function mayBeDialled(address: string, also: BlockList): boolean {
  if (isIPv4(address)) return also.check(address, 'ipv4') || !notPublic.check(address, 'ipv4');
  if (!isIPv6(address) || address.includes('%')) return false;
  // An operator's networks of version 4 are not meant in another spelling.
  if (mapped.check(address, 'ipv6')) return false;
  if (also.check(address, 'ipv6')) return true;
  return global.check(address, 'ipv6') && !notPublic.check(address, 'ipv6');
}
