import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isHostName, isIpv4Address } from '../protocol/host-name.ts';
import { Refusal } from './refusal.ts';

/** Where a request goes, in the one form in which it is compared, resolved and dialled. */
export interface Target {
  /** A name, an address of version 4, or one of version 6 in brackets. */
  readonly host: string;
  readonly port: number;
}

export interface HttpTarget extends Target {
  readonly scheme: 'http' | 'https';
  /** With the query, as it was sent. */
  readonly path: string;
}

const AUTHORITY = /^(?<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,254})(?::(?<port>[0-9]{1,5}))?$/i;
const ABSOLUTE = /^http:\/\/(?<authority>[^/?]*)(?<path>[/?][\x21-\x7e]*)?$/i;

export const DEFAULT_PORT = { http: 80, https: 443 } as const;

/**
 * The target of a CONNECT: `host:port`.
 *
 * @throws {Refusal}
 */
export function parseConnectTarget(text: string): Target {
  const { host, port } = parseAuthority(text);
  if (port === undefined) throw malformed('the target of CONNECT must be host:port');
  return { host, port };
}

/**
 * A body ends by its length or in chunks. A coding besides would leave its end to be guessed, here
 * and by who gets it next.
 *
 * @throws {Refusal}
 */
export function checkFraming(headers: IncomingHttpHeaders): void {
  const coding = headers['transfer-encoding'];
  if (coding === undefined || coding.toLowerCase() === 'chunked') return;
  throw malformed('the only Transfer-Encoding that goes on is chunked');
}

/**
 * The target of any other request: `http://host[:port]/path`.
 *
 * @throws {Refusal}
 */
export function parseHttpTarget(text: string): HttpTarget {
  if (text.startsWith('/') || text === '*') {
    throw malformed('this is a proxy: the target must be http://host/path');
  }
  if (/^https:/i.test(text)) throw malformed('https goes through a proxy by CONNECT');
  const { authority, path = '/' } = ABSOLUTE.exec(text)?.groups ?? {};
  if (authority === undefined || path.includes('#')) {
    throw malformed('the target must be http://host/path');
  }
  const { host, port = DEFAULT_PORT.http } = parseAuthority(authority);
  return { scheme: 'http', host, port, path: path.startsWith('/') ? path : `/${path}` };
}

/**
 * The target of a request within a tunnel, whose host the tunnel has named: the request's own must
 * say the same.
 *
 * @throws {Refusal}
 */
export function parseTunnelledTarget(
  { url = '', headers, rawHeaders }: IncomingMessage,
  tunnel: Target,
  scheme: HttpTarget['scheme'],
): HttpTarget {
  if (!/^\/[\x21-\x7e]*$|^\*$/.test(url) || url.includes('#')) {
    throw malformed('within a tunnel the target must be a path');
  }
  const named = rawHeaders.filter((name, index) => index % 2 === 0 && /^host$/i.test(name));
  if (named.length !== 1) throw malformed('the request must have one Host header');
  const { host, port = DEFAULT_PORT[scheme] } = parseAuthority(headers.host ?? '');
  if (host !== tunnel.host || port !== tunnel.port) {
    const words = `the Host header must name what the tunnel leads to, ${tunnel.host}`;
    throw new Refusal({ status: 421, reason: 'malformed', words });
  }
  return { scheme, host, port, path: url };
}

function parseAuthority(text: string): {
  readonly host: string;
  readonly port: number | undefined;
} {
  const { host: written, port: digits } = AUTHORITY.exec(text)?.groups ?? {};
  if (written === undefined) {
    throw malformed(
      'the host must be ASCII letters, digits, dots and dashes, with no user before it',
    );
  }
  const port = digits === undefined ? undefined : Number(digits);
  if (port === 0 || (port !== undefined && port > 65_535)) throw malformed('the port is none');
  return { host: canonicalHost(written), port };
}

/** A name with a dot at its end is the same name; any other spelling is another, or none. */
function canonicalHost(written: string): string {
  const lower = written.toLowerCase();
  if (lower.startsWith('[')) return lower;
  const host = lower.endsWith('.') ? lower.slice(0, -1) : lower;
  if (isHostName(host) || isIpv4Address(host)) return host;
  throw malformed('the host is neither a name nor an address of four decimal numbers');
}

function malformed(words: string): Refusal {
  return new Refusal({ status: 400, reason: 'malformed', words });
}
