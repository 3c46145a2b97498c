import { randomUUID } from 'node:crypto';
import type { Bao } from './bao.ts';

/** Auth methods are mounted once for all tests, and stay. */
export async function enableAuth(bao: Bao, method: string, path = method): Promise<void> {
  await bao.ask('POST', `sys/auth/${path}`, { type: method }).catch((error: Error) => {
    if (!error.message.includes('path is already in use')) throw error;
  });
}

/**
 * A role of AppRole's for a test, as variables of a process that logs in with it.
 *
 * @param times `token_ttl` and the like, of its tokens.
 */
export async function makeAppRole(
  bao: Bao,
  policy: string,
  times: Readonly<Record<string, string>>,
) {
  await enableAuth(bao, 'approle');
  const role = `test-${randomUUID()}`;
  await bao.ask('POST', `auth/approle/role/${role}`, { token_policies: [policy], ...times });
  const { data: id } = await bao.ask('GET', `auth/approle/role/${role}/role-id`);
  const { data: secret } = await bao.ask('POST', `auth/approle/role/${role}/secret-id`);
  return {
    VAULT_ROLE_ID: String(id?.['role_id']),
    VAULT_SECRET_ID: String(secret?.['secret_id']),
  };
}
