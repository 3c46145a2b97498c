import { setTimeout as delay } from 'node:timers/promises';
import type { VaultRecords } from '../records.ts';
import { readStoredCredential } from '../stored.ts';
import { asOauth, type OauthCredential } from './oauth-credential.ts';
import type { TokenAnswer } from './token-endpoint.ts';

/** How long a caller waits for the write before it goes on with the tokens. */
const WAIT_MS = 5_000;
/** Less than another process waits before it takes over. */
const MAX_PAUSE_MS = 2_000;
const FIRST_PAUSE_MS = 100;

interface Gained {
  /** As it was when the endpoint was asked. */
  readonly stored: OauthCredential;
  readonly version: number;
  readonly answer: Extract<TokenAnswer, { type: 'tokens' }>;
}

interface SaveOptions {
  readonly records: VaultRecords;
  readonly pending: Set<Promise<unknown>>;
}

/** Writes new tokens, as often as it takes: nobody else has them. */
export async function saveTokens(
  name: string,
  gained: Gained,
  { records, pending }: SaveOptions,
): Promise<OauthCredential> {
  const next = withTokens(gained.stored, gained.answer);
  const saving = save(name, { ...gained, next }, records).finally(() => pending.delete(saving));
  pending.add(saving);
  const late = new AbortController();
  await Promise.race([saving, delay(WAIT_MS, undefined, { signal: late.signal }).catch(() => {})]);
  late.abort();
  return next;
}

async function save(
  name: string,
  { stored, version, next }: Gained & { readonly next: OauthCredential },
  records: VaultRecords,
): Promise<void> {
  let replaces: number | undefined = version;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    try {
      replaces ??= await versionToReplace(name, stored, records);
      if (replaces === undefined) return;
      if ((await records.write(name, JSON.stringify(next), replaces)) !== undefined) return;
      replaces = undefined;
      continue;
    } catch {
      // The backend is away, and what failed may have been written. Who waits goes on meanwhile.
      replaces = undefined;
    }
    await delay(pauseMs);
  }
}

/** Undefined when the refresh token that the new ones replace is not there any more. */
async function versionToReplace(
  name: string,
  stored: OauthCredential,
  records: VaultRecords,
): Promise<number | undefined> {
  const record = await records.read(name);
  const current = record && asOauth(readStoredCredential(name, record.body));
  const isSame = current?.values.refresh_token === stored.values.refresh_token;
  const isStale = current?.values.access_token === stored.values.access_token;
  return isSame && isStale ? record?.version : undefined;
}

function withTokens(stored: OauthCredential, answer: Gained['answer']): OauthCredential {
  const { accessToken, refreshToken, lifetimeS } = answer;
  const nowMs = Date.now();
  return {
    ...stored,
    auth: {
      ...stored.auth,
      expires_at: lifetimeS === null ? null : new Date(nowMs + lifetimeS * 1_000).toISOString(),
    },
    values: {
      ...stored.values,
      access_token: accessToken,
      refresh_token: refreshToken ?? stored.values.refresh_token,
    },
    updated_at: new Date(nowMs).toISOString(),
    attempt: null,
    lost_answer_at: null,
  };
}
