import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type CertificateAuthority,
  createAuthority,
  createKey,
  issueCertificate,
} from './certificate.ts';
import { checkMode, EgressKeysError } from './keys.ts';
import type { EgressSettings } from './settings.ts';

// The authority lies beside the file of keys: `ca.crt`, which anybody may have, and `ca.key`, which
// only the gateway has.

const CERTIFICATE = 'ca.crt';
const KEY = 'ca.key';
const KEYS = 'keys';
const HOW =
  'Make both anew: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 ' +
  '-subj "/CN=Drover egress gateway" -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.crt';

/**
 * @param keysPath The file of keys that the authority lies beside.
 * @throws {EgressKeysError}
 */
export function readAuthority(keysPath: string): CertificateAuthority {
  const certificate = readCertificate(keysPath);
  const path = join(dirname(keysPath), KEY);
  checkMode(path);
  const key = parsed(path, () => createPrivateKey(readFileSync(path)));
  const isCurve = key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
  if (!isCurve || !certificate.checkPrivateKey(key)) {
    throw new EgressKeysError(`${path} is not the P-256 key of ${CERTIFICATE}. ${HOW}`);
  }
  const authority = { certificate, key };
  // By whatever a client checks.
  if (!issueCertificate(authority, 'host.test', createKey()).checkIssued(certificate)) {
    throw new EgressKeysError(`${path} cannot sign certificates of hosts. ${HOW}`);
  }
  return authority;
}

/** What hands are told to trust, as PEM. @throws {EgressKeysError} */
export function readAuthorityCertificate(keysPath: string): string {
  return readCertificate(keysPath).toString();
}

/**
 * Makes keys and authority where there are none yet.
 *
 * @returns path of the file of keys.
 */
export function openEgressFolder(folder: string): string {
  const path = join(folder, KEYS);
  if (exists(path)) return path;
  mkdirSync(dirname(folder), { recursive: true, mode: 0o700 });
  const made = mkdtempSync(`${folder}-`);
  try {
    const { certificate, key } = createAuthority();
    const pem = key.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(join(made, KEY), pem, { mode: 0o600 });
    writeFileSync(join(made, CERTIFICATE), certificate.toString(), { mode: 0o644 });
    const line = `k1 ${randomBytes(32).toString('base64')}\n`;
    writeFileSync(join(made, KEYS), line, { mode: 0o600 });
    renameSync(made, folder);
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    // Another process was faster.
    if (!exists(path)) throw error;
  }
  return path;
}

/** Path of the file of keys, made when the settings leave it to us. */
export function openKeysPath({ keys }: Pick<EgressSettings, 'keys'>): string {
  return keys.type === 'file' ? keys.path : openEgressFolder(keys.folder);
}

function readCertificate(keysPath: string): X509Certificate {
  const path = join(dirname(keysPath), CERTIFICATE);
  const certificate = parsed(path, () => new X509Certificate(readFileSync(path)));
  if (!certificate.ca) throw new EgressKeysError(`${path} is no certificate authority. ${HOW}`);
  if (Date.parse(certificate.validTo) > Date.now()) return certificate;
  throw new EgressKeysError(`${path} has ended (${certificate.validTo}). ${HOW}`);
}

function parsed<Result>(path: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    const { code = 'it cannot be understood' } = error as NodeJS.ErrnoException;
    throw new EgressKeysError(`${path} cannot be read (${code}). ${HOW}`);
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
