import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';

/** Where systems keep what they trust, as one file. */
const SYSTEM_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
] as const;

/** Take the place of what a program trusts by itself: they need all that it should trust. */
const OF_ALL = [
  'SSL_CERT_FILE',
  'CURL_CA_BUNDLE',
  'REQUESTS_CA_BUNDLE',
  'PIP_CERT',
  'GIT_SSL_CAINFO',
  'CARGO_HTTP_CAINFO',
  'AWS_CA_BUNDLE',
] as const;

/**
 * Has a hand's commands trust one more authority, besides those of their system.
 *
 * @param folder Gets the files, which commands can read.
 * @param authority PEM.
 * @param systemFile What they trust already, where that is known.
 * @returns variables of commands.
 */
export function trustVariables(
  folder: string,
  authority: string,
  systemFile: string | undefined,
): Readonly<Record<string, string>> {
  mkdirSync(folder, { recursive: true });
  const all = join(folder, 'authorities.pem');
  const own = join(folder, 'gateway.pem');
  writeFileSync(all, `${systemAuthorities(systemFile).trimEnd()}\n${authority}`, { mode: 0o644 });
  writeFileSync(own, authority, { mode: 0o644 });
  return {
    ...Object.fromEntries(OF_ALL.map((name) => [name, all])),
    // Adds to what Node trusts.
    NODE_EXTRA_CA_CERTS: own,
  };
}

function systemAuthorities(systemFile: string | undefined): string {
  for (const path of [systemFile, ...SYSTEM_FILES]) {
    if (path === undefined) continue;
    try {
      return readFileSync(path, 'utf8');
    } catch {
      // Not on this system: the next one.
    }
  }
  return rootCertificates.join('\n');
}
