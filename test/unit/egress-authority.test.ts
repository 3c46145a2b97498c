import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  openEgressFolder,
  readAuthority,
  readAuthorityCertificate,
} from '../../egress/authority-file.ts';
import { createAuthority, createKey, issueCertificate } from '../../egress/certificate.ts';
import { readKeys } from '../../egress/keys.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'drover-authority-'));
afterAll(() => rmSync(FOLDER, { recursive: true }));

function verify(authority: string, leaf: string): string {
  writeFileSync(join(FOLDER, 'authority.pem'), authority);
  writeFileSync(join(FOLDER, 'leaf.pem'), leaf);
  const options = ['-x509_strict', '-purpose', 'sslserver', '-CAfile'];
  const paths = [join(FOLDER, 'authority.pem'), join(FOLDER, 'leaf.pem')];
  return execFileSync('openssl', ['verify', ...options, ...paths]).toString();
}

describe('a certificate', () => {
  test.each(['api.example.com', '127.0.0.1', `${'a.'.repeat(100)}example.com`])(
    'of %s → is that of the host, by the strictest reading',
    (host) => {
      const authority = createAuthority();
      const leaf = issueCertificate(authority, host, createKey());
      expect(verify(authority.certificate.toString(), leaf.toString())).toMatch(/: OK/);
      expect(/^[\d.]+$/.test(host) ? leaf.checkIP(host) : leaf.checkHost(host)).toBe(host);
      expect(leaf.checkHost('other.example.com')).toBeUndefined();
      const days = (Date.parse(leaf.validTo) - Date.now()) / 86_400_000;
      expect(days).toBeGreaterThan(6);
      expect(days).toBeLessThan(8);
    },
  );
});

/** As the documentation says to make them. */
const MAKE =
  'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -addext keyUsage=critical,keyCertSign';

function made(name: string, make = MAKE): string {
  const folder = join(FOLDER, name);
  execFileSync('mkdir', ['-p', folder]);
  const paths = ['-keyout', join(folder, 'ca.key'), '-out', join(folder, 'ca.crt')];
  const subject = ['-subj', '/CN=Drover egress gateway'];
  execFileSync('openssl', [...make.split(' '), ...subject, ...paths], { stdio: 'ignore' });
  chmodSync(join(folder, 'ca.key'), 0o600);
  return join(folder, 'keys');
}

describe('files of the authority', () => {
  test('made by openssl → sign certificates', () => {
    const keys = made('openssl');
    const leaf = issueCertificate(readAuthority(keys), 'host.test', createKey());
    expect(verify(readAuthorityCertificate(keys), leaf.toString())).toMatch(/: OK/);
  });

  test('made by the worker → once, for its user alone', () => {
    const folder = join(FOLDER, 'state', 'egress');
    const keys = openEgressFolder(folder);
    const certificate = readAuthorityCertificate(keys);
    expect(openEgressFolder(folder)).toBe(keys);
    expect(readAuthorityCertificate(keys)).toBe(certificate);
    expect(readKeys(keys).signing.secret).toHaveLength(32);
    expect(readAuthority(keys).certificate.toString()).toBe(certificate);
    for (const name of ['keys', 'ca.key']) {
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    }
    expect(readdirSync(join(FOLDER, 'state'))).toEqual(['egress']);
  });

  test.each<[string, (keys: string) => void, RegExp]>([
    [
      'no certificate',
      (keys) => rmSync(join(keys, '..', 'ca.crt')),
      /ca\.crt cannot be read \(ENOENT\)/,
    ],
    ['no key', (keys) => rmSync(join(keys, '..', 'ca.key')), /ca\.key cannot be read \(ENOENT\)/],
    [
      'a key that others may read',
      (keys) => chmodSync(join(keys, '..', 'ca.key'), 0o644),
      /mode 644/,
    ],
    [
      'the key of another',
      (keys) => copyFileSync(join(made('another'), '..', 'ca.key'), join(keys, '..', 'ca.key')),
      /is not the P-256 key of ca\.crt/,
    ],
    [
      'nonsense',
      (keys) => writeFileSync(join(keys, '..', 'ca.crt'), 'x'),
      /ca\.crt cannot be read/,
    ],
  ])('%s → refused in words', (what, spoil, words) => {
    const keys = made(what.replaceAll(' ', '-'));
    spoil(keys);
    expect(() => readAuthority(keys)).toThrow(words);
  });

  test.each([
    [
      'RSA',
      MAKE.replace('ec -pkeyopt ec_paramgen_curve:P-256', 'rsa:2048'),
      /is not the P-256 key/,
    ],
    [
      'no authority',
      `${MAKE} -addext basicConstraints=critical,CA:FALSE`,
      /is no certificate authority/,
    ],
  ])('%s → refused in words', (what, make, words) => {
    expect(() => readAuthority(made(what.replaceAll(' ', '-'), make))).toThrow(words);
  });
});
