import type { IncomingMessage } from 'node:http';
import { addressOf } from './address-of.ts';
import { type HandToken, readToken } from './hand-token.ts';
import { type EgressKeys, EgressKeysError } from './keys.ts';
import { Refusal } from './refusal.ts';

/**
 * Whose request it is, by its proxy credentials: the token, as the password of `Basic` or as `Bearer`.
 *
 * @throws {Refusal}
 */
export function authorize(request: IncomingMessage, readKeys: () => EgressKeys): HandToken {
  return checkToken(tokenIn(request.headers['proxy-authorization']), request, readKeys);
}

/**
 * The same of a request to the gateway itself, which is no proxy then.
 *
 * @throws {Refusal}
 */
export function authorizeOwn(request: IncomingMessage, readKeys: () => EgressKeys): HandToken {
  try {
    return checkToken(tokenIn(request.headers.authorization), request, readKeys);
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 407) throw error;
    throw new Refusal({ status: 401, reason: error.reason, words: error.message });
  }
}

/** @throws {Refusal} */
export function checkExpiry({ expires }: HandToken): void {
  if (expires * 1000 > Date.now()) return;
  const words = `the token of this hand has expired (${new Date(expires * 1000).toISOString()})`;
  throw new Refusal({ status: 403, reason: 'expired', words });
}

function checkToken(text: string, request: IncomingMessage, readKeys: () => EgressKeys): HandToken {
  const token = readToken(keysFrom(readKeys), text);
  checkExpiry(token);
  if (token.addresses.includes(addressOf(request))) return token;
  const words = 'the token is that of another hand';
  throw new Refusal({ status: 403, reason: 'foreign-token', words });
}

function tokenIn(header = ''): string {
  const [, scheme = '', text = ''] = /^(basic|bearer) +([a-z0-9+/=._-]+)$/i.exec(header) ?? [];
  if (scheme === '') {
    const words = 'this proxy wants the token of a hand (see HTTPS_PROXY)';
    throw new Refusal({ status: 407, reason: 'credentials', words });
  }
  if (scheme.toLowerCase() === 'bearer') return text;
  const decoded = Buffer.from(text, 'base64').toString();
  return decoded.slice(decoded.indexOf(':') + 1);
}

function keysFrom(readKeys: () => EgressKeys): EgressKeys {
  try {
    return readKeys();
  } catch (error) {
    if (!(error instanceof EgressKeysError)) throw error;
    const words = `the proxy has no keys: ${error.message.replace(/[^\x20-\x7e]/g, '?')}`;
    throw new Refusal({ status: 503, reason: 'misconfigured', words });
  }
}
