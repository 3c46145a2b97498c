import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIPv4 } from 'node:net';
import {
  bits,
  contentOf,
  explicit,
  fewBits,
  implicit,
  integer,
  objectId,
  octets,
  partsOf,
  sequence,
  set,
  text,
  time,
  yes,
} from './der.ts';

/** Signs the certificates that hands are shown in place of a host's own. */
export interface CertificateAuthority {
  readonly certificate: X509Certificate;
  /** On the curve P-256. */
  readonly key: KeyObject;
}

const CURVE = 'prime256v1';
const ECDSA_WITH_SHA256 = sequence(objectId('1.2.840.10045.4.3.2'));
const VERSION_3 = explicit(0, integer(Buffer.from([2])));
const SERVER_AUTHENTICATION = sequence(objectId('1.3.6.1.5.5.7.3.1'));
const EXTENSION = {
  subjectKey: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKey: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;
const DNS_NAME = 2;
const IP_ADDRESS = 7;
const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3_650;
const LEAF_DAYS = 7;
/** Clocks of sandboxes may be behind. */
const BACKDATED_MS = DAY_MS;

export function createKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: CURVE }).privateKey;
}

/** A new authority that signs for servers alone. */
export function createAuthority(): CertificateAuthority {
  const key = createKey();
  const name = commonName('Drover egress gateway');
  const keyId = keyIdOf(key);
  const certificate = toCertificate({
    issuer: name,
    subject: name,
    days: AUTHORITY_DAYS,
    publicKey: spkiOf(key),
    signedWith: key,
    extensions: [
      extension(EXTENSION.basicConstraints, sequence(yes(), integer(Buffer.from([0]))), yes()),
      // Signs certificates.
      extension(EXTENSION.keyUsage, fewBits(0x04, 2), yes()),
      extension(EXTENSION.subjectKey, octets(keyId)),
    ],
  });
  return { certificate, key };
}

/**
 * A certificate of one host, good for a week.
 *
 * @param host A name, or an address of version 4.
 */
export function issueCertificate(
  authority: CertificateAuthority,
  host: string,
  key: KeyObject,
): X509Certificate {
  const name = isIPv4(host)
    ? implicit(IP_ADDRESS, Buffer.from(host.split('.').map(Number)))
    : implicit(DNS_NAME, Buffer.from(host));
  return toCertificate({
    issuer: subjectOf(authority.certificate),
    subject: commonName('Drover egress'),
    days: LEAF_DAYS,
    publicKey: spkiOf(key),
    signedWith: authority.key,
    extensions: [
      // Signs handshakes.
      extension(EXTENSION.keyUsage, fewBits(0x80, 7), yes()),
      extension(EXTENSION.extendedKeyUsage, SERVER_AUTHENTICATION),
      extension(EXTENSION.alternativeNames, sequence(name)),
      extension(EXTENSION.authorityKey, sequence(implicit(0, keyIdOf(authority.key)))),
      extension(EXTENSION.subjectKey, octets(keyIdOf(key))),
    ],
  });
}

interface Parts {
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly days: number;
  readonly publicKey: Buffer;
  readonly extensions: readonly Buffer[];
  readonly signedWith: KeyObject;
}

function toCertificate(parts: Parts): X509Certificate {
  const now = Date.now();
  const notBefore = time(new Date(now - BACKDATED_MS));
  const notAfter = time(new Date(now + parts.days * DAY_MS));
  const signed = sequence(
    VERSION_3,
    integer(serialNumber()),
    ECDSA_WITH_SHA256,
    parts.issuer,
    sequence(notBefore, notAfter),
    parts.subject,
    parts.publicKey,
    explicit(3, sequence(...parts.extensions)),
  );
  const signature = sign('sha256', signed, parts.signedWith);
  return new X509Certificate(sequence(signed, ECDSA_WITH_SHA256, bits(signature)));
}

/** Positive, and with no zero at its start. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes.writeUInt8(0x40 + (bytes.readUInt8() % 0x40));
  return bytes;
}

function extension(id: string, content: Buffer, ...critical: readonly Buffer[]): Buffer {
  return sequence(objectId(id), ...critical, octets(content));
}

function commonName(name: string): Buffer {
  return sequence(set(sequence(objectId('2.5.4.3'), text(name))));
}

function spkiOf(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** As others make it too: of the key alone, without what says what it is (RFC 5280, 4.2.1.2). */
function keyIdOf(key: KeyObject): Buffer {
  const [, keyBits = Buffer.alloc(1)] = partsOf(spkiOf(key));
  return createHash('sha1').update(contentOf(keyBits).subarray(1)).digest();
}

/** As it is written there: what it signs must repeat it to the byte. */
function subjectOf({ raw }: X509Certificate): Buffer {
  const [signed = Buffer.alloc(0)] = partsOf(raw);
  const fields = partsOf(signed);
  // Version, serial number, algorithm, issuer, validity, subject.
  const subject = fields[5];
  if (subject === undefined) throw new TypeError('no certificate of version 3');
  return subject;
}
