import { expect, test } from 'vitest';
import { mayBeDialled, toBlockList } from '../../dial/public-addresses.ts';

const NONE = toBlockList([]);

test.each([
  '1.1.1.1',
  '100.63.255.255',
  '172.15.0.1',
  '172.32.0.1',
  '223.255.255.255',
  '2606:4700::1111',
  '2a00:1450::1',
])('%s → public', (address) => {
  expect(mayBeDialled(address, NONE)).toBe(true);
});

test.each([
  ['this network', '0.0.0.0'],
  ['private', '10.0.0.1'],
  ['private', '172.16.0.1'],
  ['private', '172.31.255.255'],
  ['private', '192.168.1.1'],
  ['carrier and cluster', '100.64.0.1'],
  ['loopback', '127.0.0.1'],
  ['loopback', '127.255.255.255'],
  ['metadata', '169.254.169.254'],
  ['metadata of another cloud', '100.100.100.200'],
  ['protocol assignments', '192.0.0.192'],
  ['benchmarks', '198.18.0.1'],
  ['multicast', '224.0.0.1'],
  ['reserved', '240.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['any', '::'],
  ['loopback', '::1'],
  ['mapped', '::ffff:1.1.1.1'],
  ['mapped', '::ffff:7f00:1'],
  ['mapped', '0:0:0:0:0:FFFF:A00:1'],
  ['compatible', '::127.0.0.1'],
  ['translated', '64:ff9b::7f00:1'],
  ['translated', '64:ff9b:1::a00:1'],
  ['6to4', '2002:7f00:1::'],
  ['Teredo', '2001::1'],
  ['documentation', '2001:db8::1'],
  ['unique local', 'fd00::1'],
  ['metadata', 'fd00:ec2::254'],
  ['link-local', 'fe80::1'],
  ['link-local with a zone', 'fe80::1%eth0'],
  ['site-local', 'fec0::1'],
  ['multicast', 'ff02::1'],
  ['no address', '127.1'],
  ['no address', ''],
])('%s, %s → not public', (_what, address) => {
  expect(mayBeDialled(address, NONE)).toBe(false);
});

test('what an operator names → may be reached, and nothing beside it', () => {
  const named = toBlockList(['10.201.0.1/32', 'fd00:1::/32']);
  expect(mayBeDialled('10.201.0.1', named)).toBe(true);
  expect(mayBeDialled('fd00:1::1', named)).toBe(true);
  expect(mayBeDialled('10.201.0.2', named)).toBe(false);
  expect(mayBeDialled('::ffff:10.201.0.1', named)).toBe(false);
  expect(mayBeDialled('fd00:2::1', named)).toBe(false);
});

test.each(['10.0.0.0', '10.0.0.0/33', '10.0/8', 'example.com/8', '::/129', '/'])(
  '%s → no network',
  (network) => {
    expect(() => toBlockList([network])).toThrow(`"${network}" is no network`);
  },
);
