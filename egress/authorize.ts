import type { IncomingMessage } from 'node:http';
import { type HandToken, readToken } from './hand-token.ts';
import { type EgressKeys, EgressKeysError } from './keys.ts';
import { Refusal } from './refusal.ts';

/**
 * Whose request it is, by its proxy credentials: `Basic`, with the token as the password.
 *
 * @throws {Refusal}
 */
export function authorize(request: IncomingMessage, readKeys: () => EgressKeys): HandToken {
  return checkToken(credentialsOf(request), request, readKeys);
}

/**
 * Whether who sends the request may show this token.
 *
 * @throws {Refusal}
 */
export function checkToken(
  text: string,
  request: IncomingMessage,
  readKeys: () => EgressKeys,
): HandToken {
  const token = readToken(keysFrom(readKeys), text);
  if (token.expires * 1000 <= Date.now()) {
    const words = `the token of this hand has expired (${new Date(token.expires * 1000).toISOString()})`;
    throw new Refusal({ status: 403, reason: 'expired', words });
  }
  if (!token.addresses.includes(addressOf(request))) {
    const words = 'the token is that of another hand';
    throw new Refusal({ status: 403, reason: 'foreign-token', words });
  }
  return token;
}

/** Of who asks, version 4 in its own form. */
export function addressOf({ socket }: IncomingMessage): string {
  return plainAddress(socket.remoteAddress ?? '');
}

export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

function credentialsOf({ headers }: IncomingMessage): string {
  const [, encoded] = /^basic +([a-z0-9+/=_-]+)$/i.exec(headers['proxy-authorization'] ?? '') ?? [];
  if (encoded === undefined) {
    const words = 'this proxy wants the token of a hand (see HTTPS_PROXY)';
    throw new Refusal({ status: 407, reason: 'credentials', words });
  }
  const decoded = Buffer.from(encoded, 'base64').toString();
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
