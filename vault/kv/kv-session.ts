/**
 * The token of this process. It is renewed after two thirds of its lease; one that cannot be
 * renewed, or is refused in mid-call, is replaced by a new login where there is one.
 */
import type { KvSettings } from '../settings.ts';
import { askKv, unavailable } from './kv-request.ts';
import { AuthAnswer, type Lease } from './lease.ts';
import { logIn } from './log-in.ts';

export interface KvSession {
  token(): Promise<string>;
  /**
   * Another token for one that was refused. Undefined when the refused one is known to the server,
   * so what it may not do is a matter of policy.
   *
   * @throws VaultError when there is no other
   */
  replace(refused: string): Promise<string | undefined>;
  close(): void;
}

const RENEW_AT = 2 / 3;
const TRY_AGAIN_MS = 5_000;
/** Longer ones would overflow a timer; they are looked at again then. */
const MAX_TIMER_MS = 86_400_000;

export function createKvSession(settings: KvSettings): KvSession {
  let current: Promise<Lease> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  function start(): Promise<Lease> {
    const started = logIn(settings);
    current = started;
    started.then(
      (lease) => watch(lease),
      () => {
        if (current === started) current = undefined;
      },
    );
    return started;
  }

  function watch({ leaseS, token }: Lease): void {
    if (leaseS > 0) wake(leaseS * 1_000 * RENEW_AT, token);
  }

  function wake(afterMs: number, token: string): void {
    clearTimeout(timer);
    if (isClosed) return;
    timer = setTimeout(() => void renew(token), Math.min(afterMs, MAX_TIMER_MS)).unref();
  }

  /** What fails here is told by the next call that needs the token. */
  async function renew(token: string): Promise<void> {
    const lease = await current?.catch(() => undefined);
    if (lease === undefined || lease.token !== token) return;
    try {
      const renewed = lease.isRenewable ? await renewSelf(settings, lease) : undefined;
      if (renewed === undefined) await start();
      else {
        current = Promise.resolve(renewed);
        watch(renewed);
      }
    } catch {
      wake(TRY_AGAIN_MS, token);
    }
  }

  return {
    token: async () => (await (current ?? start())).token,
    async replace(refused) {
      const lease = await (current ?? start());
      if (lease.token !== refused) return lease.token;
      const { status } = await askKv(settings, {
        method: 'GET',
        path: 'auth/token/lookup-self',
        token: refused,
      });
      if (status === 200) return undefined;
      // Who was refused at the same time may have been faster.
      const now = await (current ?? start());
      if (now.token !== refused) return now.token;
      if (settings.login.type === 'token') {
        throw unavailable(
          settings.address,
          'does not know VAULT_TOKEN: it has expired or was revoked, or it may not look itself up ' +
            'and its policy lacks what was asked. Set a new one and start this process anew',
        );
      }
      return (await start()).token;
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

/** Undefined when it cannot be renewed for much longer. */
async function renewSelf(settings: KvSettings, lease: Lease): Promise<Lease | undefined> {
  const { token } = lease;
  const answer = await askKv(settings, {
    method: 'POST',
    path: 'auth/token/renew-self',
    body: {},
    token,
  });
  const parsed = AuthAnswer.safeParse(answer.body);
  if (answer.status !== 200 || !parsed.success) return undefined;
  const { lease_duration: leaseS, renewable: isRenewable } = parsed.data.auth;
  const isEnding = settings.login.type !== 'token' && leaseS < lease.leaseS / 2;
  return isEnding ? undefined : { token, leaseS, isRenewable };
}
