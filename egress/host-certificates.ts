import type { KeyObject } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { type CertificateAuthority, createKey, issueCertificate } from './certificate.ts';

export interface HostCertificates {
  /** For who asks a host through the gateway. Made once for each host, and again before it ends. */
  contextOf(host: string): SecureContext;
}

const RENEWED_AFTER_MS = 24 * 3_600_000;
/** Subdomains are many where `*.example.com` is allowed. */
const MOST_HOSTS = 1_024;

/** @param readAuthority Asked for each host. */
export function createHostCertificates(
  readAuthority: () => CertificateAuthority,
): HostCertificates {
  const contexts = new Map<string, { readonly context: SecureContext; readonly madeAt: number }>();
  const key = createKey();
  return {
    contextOf(host) {
      const known = contexts.get(host);
      if (known !== undefined && Date.now() - known.madeAt < RENEWED_AFTER_MS) return known.context;
      const context = toContext(readAuthority(), host, key);
      const [oldest] = contexts.keys();
      if (contexts.size >= MOST_HOSTS && oldest !== undefined) contexts.delete(oldest);
      contexts.set(host, { context, madeAt: Date.now() });
      return context;
    },
  };
}

function toContext(authority: CertificateAuthority, host: string, key: KeyObject): SecureContext {
  return createSecureContext({
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    cert: `${issueCertificate(authority, host, key)}${authority.certificate}`,
    minVersion: 'TLSv1.2',
  });
}
