import type { KvSettings } from '../settings.ts';
import type { VaultError } from '../vault-error.ts';
import { askKv, inWords, type KvAnswer, type KvCall, unavailable } from './kv-request.ts';
import { createKvSession } from './kv-session.ts';

export interface KvClient {
  /** With the token of this process, and once more with another when that one is good no more. */
  ask(call: Omit<KvCall, 'token'>): Promise<KvAnswer>;
  /** The path of a record in one of the mount's APIs. */
  pathOf(part: 'data' | 'metadata' | 'destroy', name: string): string;
  close(): void;
}

export function createKvClient(settings: KvSettings): KvClient {
  const session = createKvSession(settings);
  return {
    async ask(call) {
      const token = await session.token();
      const answer = await askKv(settings, { ...call, token });
      if (answer.status !== 403) return answer;
      const other = await session.replace(token);
      return other === undefined ? answer : askKv(settings, { ...call, token: other });
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
