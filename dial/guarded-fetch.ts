/**
 * `fetch` for addresses that somebody else chose: a public address, or one in the networks that the
 * operator allows, and nothing else. What is dialled is what was checked, so a name that leads
 * elsewhere a moment later changes nothing. No redirect is followed, since the next address would
 * get what was meant for this one: the answer with status 3xx is the caller's to word.
 */
import { lookup as lookupName } from 'node:dns';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { type BlockList, isIP, isIPv4, type LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { AddressRefusedError } from './address-refused-error.ts';
import { mayBeDialled } from './public-addresses.ts';

export interface GuardedFetchOptions {
  /** What may be dialled though it is not public; also without TLS. */
  readonly privateNetworks: BlockList;
  /** All addresses of a name. Default: those of the system. */
  readonly lookup?: typeof lookupName;
}

export type GuardedFetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

const WITHOUT_BODY = new Set([204, 205, 304]);

/**
 * Bodies are sent whole and answers are streamed. Time limits are the caller's, by `init.signal`.
 *
 * @throws {AddressRefusedError} before anything was sent
 */
export function createGuardedFetch(options: GuardedFetchOptions): GuardedFetch {
  const guards = { 'http:': guardOf(options, 'http:'), 'https:': guardOf(options, 'https:') };
  const agents = {
    'http:': new HttpAgent({ keepAlive: true, lookup: guards['http:'].lookup }),
    'https:': new HttpsAgent({ keepAlive: true, lookup: guards['https:'].lookup }),
  };
  return async (target, init) => {
    const url = new URL(target);
    const { protocol } = url;
    if (protocol !== 'http:' && protocol !== 'https:') {
      throw new AddressRefusedError(url.host, 'must be dialled by https');
    }
    // Never looked up.
    guards[protocol].checkLiteral(url.hostname);
    const request = new Request(url, init);
    const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
    const headers = Object.fromEntries(request.headers);
    if (body !== undefined) headers['content-length'] = String(body.byteLength);
    headers['accept-encoding'] = 'identity';
    const { method, signal } = request;
    const start = protocol === 'https:' ? httpsRequest : httpRequest;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = start(url, { method, headers, signal, agent: agents[protocol] }, resolve);
    outgoing.on('error', reject);
    outgoing.end(body);
    return toResponse(await promise);
  };
}

function guardOf({ privateNetworks, lookup = lookupName }: GuardedFetchOptions, protocol: string) {
  const needsTls = protocol === 'http:';
  const isAllowed = (address: string) =>
    needsTls
      ? privateNetworks.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
      : mayBeDialled(address, privateNetworks);
  const refused = (host: string) =>
    new AddressRefusedError(
      host,
      needsTls
        ? 'must be dialled by https: plain http goes only to networks that the operator allows'
        : 'leads to no public address',
    );
  const guarded: LookupFunction = (host, wanted, done) => {
    lookup(host, { ...wanted, all: true }, (error, found) => {
      if (error) return done(error, []);
      const [first, ...others] = found.filter(({ address }) => isAllowed(address));
      if (first === undefined) return done(refused(host), []);
      if (wanted.all) return done(null, [first, ...others]);
      done(null, first.address, first.family);
    });
  };
  return {
    lookup: guarded,
    checkLiteral(hostname: string) {
      const host = hostname.replace(/^\[|\]$/g, '');
      if (isIP(host) !== 0 && !isAllowed(host)) throw refused(host);
    },
  };
}

function toResponse(incoming: IncomingMessage): Response {
  const { statusCode: status = 502, statusMessage: statusText = '' } = incoming;
  const headers = new Headers();
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  if (!WITHOUT_BODY.has(status)) {
    return new Response(Readable.toWeb(incoming) as ReadableStream, {
      status,
      statusText,
      headers,
    });
  }
  incoming.resume();
  return new Response(null, { status, statusText, headers });
}
