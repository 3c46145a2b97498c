import type { KvSettings } from '../settings.ts';
import type { VaultError } from '../vault-error.ts';
import { askKv, inWords, type KvAnswer, type KvCall, unavailable } from './kv-request.ts';
import { createKvSession } from './kv-session.ts';
import { createTurns } from './turns.ts';

export interface KvClient {
  /** With the token of this process, and once more with another when that one is good no more. */
  ask(call: Omit<KvCall, 'token'>): Promise<KvAnswer>;
  /** The path of a record in one of the mount's APIs. */
  pathOf(part: 'data' | 'metadata' | 'destroy', name: string): string;
  close(): void;
}

/** Of one process. A server has some hundred at most for all, and a crowd of readers can stall it. */
const AT_ONCE = 24;

export function createKvClient(settings: KvSettings): KvClient {
  const session = createKvSession(settings);
  const inTurn = createTurns(AT_ONCE);
  return {
    async ask(call) {
      const token = await session.token();
      const answer = await inTurn(() => askKv(settings, { ...call, token }));
      if (answer.status !== 403) return answer;
      const other = await session.replace(token);
      if (other === undefined) return answer;
      return inTurn(() => askKv(settings, { ...call, token: other }));
    },
    pathOf: (part, name) => `${settings.mount}/${part}/${settings.prefix}${name}`,
    close: () => session.close(),
  };
}

/** An answer that is none of those that are expected. */
export function refusedByKv(
  { address, mount }: KvSettings,
  { status, errors }: KvAnswer,
  path: string,
  capability: string,
): VaultError {
  return unavailable(
    address,
    status === 403
      ? `does not let this process use ${path}: its policy must allow "${capability}" there`
      : `answers ${status} for ${path}${inWords(errors)}: is ${mount} a KV version 2 mount?`,
  );
}
