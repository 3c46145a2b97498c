import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { AddressRefusedError } from '../../dial/address-refused-error.ts';
import type { GuardedFetch } from '../../dial/guarded-fetch.ts';
import { assertNever } from '../../protocol/assert-never.ts';
import type { OauthRefresh } from '../../protocol/credential.ts';

export interface TokenRequest {
  readonly refresh: OauthRefresh;
  readonly refreshToken: string;
  readonly clientSecret: string | null;
}

export type TokenAnswer =
  | {
      readonly type: 'tokens';
      readonly accessToken: string;
      /** Null: the one that was sent stays good. */
      readonly refreshToken: string | null;
      /** Null: the endpoint did not say. */
      readonly lifetimeS: number | null;
    }
  /** Asking again changes nothing. */
  | { readonly type: 'refused'; readonly words: string; readonly afterLostAnswer: boolean }
  | {
      readonly type: 'unavailable';
      readonly words: string;
      /** The endpoint may have acted on the request all the same. */
      readonly mayHaveActed: boolean;
    };

type OneAnswer =
  | Exclude<TokenAnswer, { type: 'refused' }>
  | { readonly type: 'refused'; readonly words: string };

/** All attempts together. */
const ENDPOINT_MS = 10_000;
const PAUSES_MS = [250, 500, 1_000, 2_000];
const MAX_ANSWER_BYTES = 262_144;
const AGAIN = new Set([408, 425, 429]);

const Tokens = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1).nullish(),
  expires_in: z.coerce.number().positive().nullish().catch(null),
});
/** Its description may repeat what was sent, so it is not taken. */
const ErrorAnswer = z.object({ error: z.string().regex(/^[\w.-]{1,64}$/) });

/** Asks for new tokens, again while the endpoint has trouble. Nothing secret is in its words. */
export async function requestTokens(
  request: TokenRequest,
  fetch: GuardedFetch,
): Promise<TokenAnswer> {
  const signal = AbortSignal.timeout(ENDPOINT_MS);
  let mayHaveActed = false;
  for (const pauseMs of [...PAUSES_MS, undefined]) {
    const answer = await ask(request, fetch, signal);
    if (answer.type === 'tokens') return answer;
    if (answer.type === 'refused') return { ...answer, afterLostAnswer: mayHaveActed };
    mayHaveActed ||= answer.mayHaveActed;
    if (pauseMs === undefined || signal.aborted) return { ...answer, mayHaveActed };
    await delay(pauseMs, undefined, { signal }).catch(() => {});
  }
  throw new TypeError('there is no attempt after the last one');
}

async function ask(
  request: TokenRequest,
  fetch: GuardedFetch,
  signal: AbortSignal,
): Promise<OneAnswer> {
  try {
    const response = await fetch(request.refresh.token_endpoint, { ...toPost(request), signal });
    return toAnswer(response.status, await readBody(response));
  } catch (error) {
    if (error instanceof AddressRefusedError) {
      return { type: 'refused', words: `may not be dialled: ${error.message}` };
    }
    const words = signal.aborted
      ? `did not answer in ${ENDPOINT_MS / 1_000} s`
      : `cannot be reached (${codeOf(error)})`;
    return { type: 'unavailable', words, mayHaveActed: !NEVER_SENT.has(codeOf(error)) };
  }
}

const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH']);

function toPost({ refresh, refreshToken, clientSecret }: TokenRequest): RequestInit {
  const { client_id, token_endpoint_auth, resource, scope } = refresh;
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken });
  if (resource !== null) body.set('resource', resource);
  if (scope !== null) body.set('scope', scope);
  const headers = new Headers({
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
  });
  switch (token_endpoint_auth.type) {
    case 'none':
      body.set('client_id', client_id);
      break;
    case 'client_secret_post':
      body.set('client_id', client_id);
      body.set('client_secret', clientSecret ?? '');
      break;
    case 'client_secret_basic':
      headers.set('authorization', toBasic(client_id, clientSecret ?? ''));
      break;
    default:
      assertNever(token_endpoint_auth.type);
  }
  return { method: 'POST', headers, body: body.toString() };
}

/** Each half is encoded as in a form (RFC 6749, 2.3.1). */
function toBasic(id: string, secret: string): string {
  const [name, password] = [id, secret].map((half) =>
    new URLSearchParams({ half }).toString().slice('half='.length),
  );
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}

function toAnswer(status: number, body: unknown): OneAnswer {
  const tokens = Tokens.safeParse(body);
  if (status === 200 && tokens.success) {
    const { access_token, refresh_token, expires_in } = tokens.data;
    return {
      type: 'tokens',
      accessToken: access_token,
      refreshToken: refresh_token ?? null,
      lifetimeS: expires_in ?? null,
    };
  }
  if (status >= 300 && status < 400) {
    const words = 'answered with a redirect, which is not followed: name the address it leads to';
    return { type: 'refused', words };
  }
  const known = ErrorAnswer.safeParse(body);
  const words = `answered ${status}${known.success ? `, ${known.data.error}` : ''}`;
  if (status >= 500) return { type: 'unavailable', words, mayHaveActed: true };
  if (AGAIN.has(status)) return { type: 'unavailable', words, mayHaveActed: false };
  // Some answer an error with status 200.
  return { type: 'refused', words: known.success ? words : `${words} without tokens` };
}

/** The JSON of an answer, or undefined. */
async function readBody(response: Response): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    parts.push(part);
    bytes += part.byteLength;
    if (bytes > MAX_ANSWER_BYTES) return undefined;
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
  return code.replace(/[^\w ]/g, '');
}
