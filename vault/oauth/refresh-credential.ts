/**
 * A refresh token may be good for one use only, so among all processes one at a time asks for new
 * tokens: it writes its attempt into the record by check-and-set before it asks, and the tokens
 * after it. The others read until the record holds another access token.
 *
 * | what happens to the one that asks | what follows |
 * |---|---|
 * | it dies before it asked | another one takes over after `ATTEMPT_MS`; nothing is lost |
 * | it dies between the answer and the write | another one takes over, with the refresh token of before: most endpoints give new tokens again for a while; one that refuses leads to `Vault.RefreshFailed`, which says that an answer was lost and that somebody has to authorize again |
 * | the vault is away when the answer comes | the tokens are used, and written as soon as it is back |
 * | it is taken over while it still waits for the vault | what it holds is written as long as the record has the refresh token that it replaces |
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { GuardedFetch } from '../../dial/guarded-fetch.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { VaultRecords } from '../records.ts';
import { readStoredCredential } from '../stored.ts';
import { VaultError } from '../vault-error.ts';
import { asOauth, type OauthCredential } from './oauth-credential.ts';
import { saveTokens } from './save-tokens.ts';
import { requestTokens, type TokenRequest } from './token-endpoint.ts';

/** Longer than an endpoint is given to answer, and the write after it. */
const ATTEMPT_MS = 20_000;
const LOOK_AGAIN_MS = 100;

export interface RefreshOptions {
  readonly records: VaultRecords;
  readonly fetch: GuardedFetch;
  /** What the vault waits for as it closes. */
  readonly pending: Set<Promise<unknown>>;
}

interface Held {
  readonly stored: OauthCredential;
  readonly version: number;
}

/**
 * @param staleToken The access token that is good no more.
 * @returns The record with another one.
 */
export async function refreshCredential(
  name: string,
  staleToken: string,
  options: RefreshOptions,
): Promise<OauthCredential> {
  const hasDied = createWatch();
  for (;;) {
    const { stored, version } = await readOauth(name, options.records);
    if (stored.values.access_token !== staleToken) return stored;
    if (stored.attempt !== null && !hasDied(stored.attempt.id)) {
      await delay(LOOK_AGAIN_MS * (1 + Math.random()));
      continue;
    }
    const grant = grantOf(stored);
    const begun = begin(stored);
    const held = await options.records.write(name, JSON.stringify(begun), version);
    if (held === undefined) continue;
    const done = await exchange(name, grant, { stored: begun, version: held }, options);
    if (done !== undefined) return done;
  }
}

/** Whether an attempt has been seen for so long that nobody is at it any more; by no clock but ours. */
function createWatch(): (attemptId: string) => boolean {
  let seen = { id: '', sinceMs: 0 };
  return (id) => {
    if (seen.id !== id) seen = { id, sinceMs: performance.now() };
    return performance.now() - seen.sinceMs >= ATTEMPT_MS;
  };
}

function grantOf(stored: OauthCredential): TokenRequest {
  const { refresh } = stored.auth;
  const { refresh_token: refreshToken, client_secret: clientSecret } = stored.values;
  if (refresh !== null && refreshToken !== null) return { refresh, refreshToken, clientSecret };
  throw failed(stored, 'its access token is good no more, and it has no refresh token');
}

function begin(stored: OauthCredential): OauthCredential {
  const started_at = new Date().toISOString();
  return {
    ...stored,
    attempt: { id: randomUUID(), started_at, by: `${hostname()}, process ${process.pid}` },
    lost_answer_at: stored.attempt?.started_at ?? stored.lost_answer_at,
  };
}

/** @returns Undefined when somebody put other tokens in meanwhile. */
async function exchange(
  name: string,
  grant: TokenRequest,
  held: Held,
  options: RefreshOptions,
): Promise<OauthCredential | undefined> {
  const { stored } = held;
  const answer = await requestTokens(grant, options.fetch);
  if (answer.type === 'tokens') return saveTokens(name, { ...held, answer }, options);
  const { host } = new URL(grant.refresh.token_endpoint);
  const words = `its token endpoint ${host} ${answer.words}`;
  const isLost = answer.type === 'unavailable' ? answer.mayHaveActed : answer.afterLostAnswer;
  const begunAt = stored.attempt?.started_at ?? null;
  const given: OauthCredential = {
    ...stored,
    attempt: null,
    lost_answer_at: stored.lost_answer_at ?? (isLost ? begunAt : null),
  };
  // The others need not wait.
  const version = await options.records.write(name, JSON.stringify(given), held.version);
  if (version === undefined) return undefined;
  if (answer.type === 'refused') throw failed(given, words);
  throw new VaultError(FAILURE.vaultUnavailable, `${subject(stored)} was not refreshed: ${words}`);
}

async function readOauth(name: string, records: VaultRecords): Promise<Held> {
  const record = await records.read(name);
  const stored = record && asOauth(readStoredCredential(name, record.body));
  if (record !== undefined && stored !== undefined) return { stored, version: record.version };
  throw new VaultError(
    FAILURE.vaultCredentialNotFound,
    `${name} of the vault was archived while it was refreshed`,
  );
}

function subject({ id, vault_id }: OauthCredential): string {
  return `credential ${id} of vault ${vault_id}`;
}

function failed(stored: OauthCredential, why: string): VaultError {
  const lost =
    stored.lost_answer_at === null
      ? ''
      : ` The answer to an earlier refresh, begun at ${stored.lost_answer_at}, was lost: its refresh ` +
        'token may have been used up by that.';
  return new VaultError(
    FAILURE.vaultRefreshFailed,
    `${subject(stored)} was not refreshed: ${why}.${lost} Authorize again, and put the new tokens ` +
      `in: drover credentials rotate ${stored.vault_id} ${stored.id}`,
  );
}
