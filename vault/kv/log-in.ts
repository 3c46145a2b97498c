import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { KvSettings } from '../settings.ts';
import { askKv, inWords, unavailable } from './kv-request.ts';
import { AuthAnswer, type Lease } from './lease.ts';

const TokenAnswer = z.object({
  data: z.object({ ttl: z.number(), renewable: z.boolean().optional() }),
});

/** @throws VaultError naming the variables that the server refuses; no value of theirs is in it. */
export async function logIn(settings: KvSettings): Promise<Lease> {
  const { login } = settings;
  switch (login.type) {
    case 'token':
      return lookUp(settings, login.token.reveal());
    case 'approle':
      return enter(settings, 'approle', 'VAULT_ROLE_ID and VAULT_SECRET_ID', {
        role_id: login.roleId,
        secret_id: login.secretId.reveal(),
      });
    case 'kubernetes':
      return enter(settings, 'kubernetes', 'VAULT_KUBERNETES_ROLE and the service account', {
        role: login.role,
        jwt: await readServiceAccount(settings.address, login.tokenPath),
      });
  }
}

/** One that may not look itself up is used as it is. */
async function lookUp(settings: KvSettings, token: string): Promise<Lease> {
  const { body } = await askKv(settings, { method: 'GET', path: 'auth/token/lookup-self', token });
  const parsed = TokenAnswer.safeParse(body);
  if (!parsed.success) return { token, leaseS: 0, isRenewable: false };
  const { ttl, renewable = false } = parsed.data.data;
  return { token, leaseS: renewable ? ttl : 0, isRenewable: renewable };
}

async function enter(
  settings: KvSettings,
  method: 'approle' | 'kubernetes',
  variables: string,
  body: Readonly<Record<string, string>>,
): Promise<Lease> {
  const path = `auth/${method}/login`;
  const answer = await askKv(settings, { method: 'POST', path, body });
  const parsed = AuthAnswer.safeParse(answer.body);
  if (!parsed.success) {
    throw unavailable(
      settings.address,
      `refuses the login at ${path} with ${answer.status}${inWords(answer.errors)}: check ${variables}`,
    );
  }
  const { client_token, lease_duration, renewable } = parsed.data.auth;
  return { token: client_token, leaseS: lease_duration, isRenewable: renewable };
}

/** Read at each login: Kubernetes puts a new one there before the old one ends. */
async function readServiceAccount(address: string, path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw unavailable(
      address,
      `was not asked: the service account's token ${path} cannot be read (${error.code}); outside a ` +
        'pod name its file in VAULT_KUBERNETES_TOKEN_FILE',
    );
  });
  return text.trim();
}
