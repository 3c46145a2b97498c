import { expect } from 'vitest';
import type { VaultSettings } from '../../vault/settings.ts';
import { createOauthCredential } from './oauth-credential.ts';
import { startRefreshProcess } from './refresh-process.ts';
import { startTokenEndpoint } from './token-endpoint.ts';

const ROUNDS = 200;
const CALLS = 3;

/**
 * Two processes that refresh one credential at the same time, 200 times, and then with 200 calls
 * each: one asks each time.
 */
export async function refreshStorm(
  settings: VaultSettings,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  const endpoint = await startTokenEndpoint();
  const processes = [startRefreshProcess(variables), startRefreshProcess(variables)];
  try {
    await createOauthCredential(settings, endpoint);
    for (let round = 0; round < ROUNDS; round += 1) {
      const rejected = endpoint.accessToken;
      const order = { credentialId: 'tracker', rejected, calls: CALLS };
      const tokens = (await Promise.all(processes.map((one) => one.order(order)))).flat();
      expect(new Set(tokens)).toEqual(new Set([endpoint.accessToken]));
      expect(tokens).toHaveLength(2 * CALLS);
      expect(endpoint.accessToken).not.toBe(rejected);
    }
    const last = { credentialId: 'tracker', rejected: endpoint.accessToken, calls: ROUNDS };
    const tokens = (await Promise.all(processes.map((one) => one.order(last)))).flat();
    expect(new Set(tokens)).toEqual(new Set([endpoint.accessToken]));
    expect(endpoint.reuses).toBe(0);
    expect(endpoint.requests).toHaveLength(ROUNDS + 1);
  } finally {
    await Promise.all(processes.map((one) => one.kill()));
    await endpoint.close();
  }
}
