import { z } from 'zod';
import type { CredentialAuth } from '../protocol/credential.ts';
import { FAILURE } from '../protocol/failure.ts';
import type { CredentialValues } from './stored.ts';
import { VaultError } from './vault-error.ts';

/** What a person or a program hands over, and until when it is good. */
export interface NewValues {
  readonly values: CredentialValues;
  /** RFC 3339, of an access token. Undefined: it does not say. */
  readonly expiresAt?: string;
}

const MAX_CHARACTERS = 65_536;
const ONE_LINE = /^[\x21-\x7e]+$/;

const token = z.string().max(MAX_CHARACTERS).regex(ONE_LINE);

/** As a token endpoint answers, with the client's secret beside it. */
const OauthValues = z.object({
  access_token: token,
  refresh_token: token.nullish(),
  client_secret: token.nullish(),
  expires_in: z.number().positive().nullish(),
});

/**
 * The values of a credential, from the text that holds them: the value alone; for `mcp_oauth` JSON.
 *
 * @throws VaultError saying what is wrong; nothing of the text is in it.
 */
export function readValues(auth: CredentialAuth, text: string): NewValues {
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw wrong('is empty: pass it by standard input or in a file');
  if (value.length > MAX_CHARACTERS) throw wrong(`has over ${MAX_CHARACTERS} characters`);
  switch (auth.type) {
    case 'static_bearer':
    case 'git':
      return { values: { type: auth.type, token: oneLine(value) } };
    case 'environment_variable':
      return {
        values: {
          type: auth.type,
          secret_value: auth.injection_location.header ? headerSafe(value) : value,
        },
      };
    case 'mcp_oauth':
      return readOauth(auth, value);
  }
}

function oneLine(value: string): string {
  if (ONE_LINE.test(value)) return value;
  throw wrong('must be one line of ASCII characters without spaces');
}

function headerSafe(value: string): string {
  if (/^[\x20-\x7e]+$/.test(value)) return value;
  throw wrong('must be one line of ASCII characters, since it may be put into headers');
}

function readOauth(auth: Extract<CredentialAuth, { type: 'mcp_oauth' }>, text: string): NewValues {
  const parsed = OauthValues.safeParse(parse(text));
  if (!parsed.success) {
    const fields = parsed.error.issues.map(({ path }) => path.join('.')).filter(Boolean);
    throw wrong(
      'must be JSON with "access_token" and, where there are, "refresh_token", "client_secret" and ' +
        `"expires_in" (seconds)${fields.length === 0 ? '' : `; wrong: ${fields.join(', ')}`}`,
    );
  }
  const { access_token, refresh_token = null, client_secret = null, expires_in } = parsed.data;
  if (refresh_token !== null && auth.refresh === null) {
    throw wrong('holds a refresh_token, but the credential names no token endpoint');
  }
  return {
    values: { type: 'mcp_oauth', access_token, refresh_token, client_secret },
    ...(expires_in == null
      ? {}
      : { expiresAt: new Date(Date.now() + expires_in * 1_000).toISOString() }),
  };
}

/** Its own words would repeat the text. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function wrong(what: string): VaultError {
  return new VaultError(FAILURE.vaultInvalid, `the credential's value ${what}`);
}
