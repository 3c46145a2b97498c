import { openVaultKeeper } from '../../../vault/keeper.ts';
import { readVaultSettings } from '../../../vault/settings.ts';
import type { VaultWorld } from './vault-world.ts';

export const TEAM = 'team';
export const GIT = { vault_id: TEAM, credential_id: 'git' } as const;

/** One credential of each kind, each a canary, in vault `team`. */
export async function keepCredentials(world: VaultWorld): Promise<void> {
  const { secrets, tokens, git, mcp, bearerMcp } = world;
  const keeper = openVaultKeeper(readVaultSettings(world.variables, world.stateFolder));
  const create = (
    id: string,
    auth: Parameters<typeof keeper.createCredential>[0]['auth'],
    value: string,
  ) => keeper.createCredential({ vault_id: TEAM, id, auth }, value);
  try {
    await keeper.createVault({ id: TEAM });
    await create(
      'bearer',
      { type: 'static_bearer', mcp_server_url: mcpUrl(bearerMcp.port) },
      secrets.bearer,
    );
    await create(
      'oauth',
      {
        type: 'mcp_oauth',
        mcp_server_url: mcpUrl(mcp.port),
        refresh: {
          client_id: 'drover',
          token_endpoint: tokens.url.replace('127.0.0.1', 'mcp.test'),
          token_endpoint_auth: { type: 'client_secret_post' },
          resource: null,
          scope: null,
        },
      },
      JSON.stringify({
        access_token: tokens.accessToken,
        refresh_token: tokens.refreshToken,
        client_secret: secrets.client,
      }),
    );
    await create(
      'variable',
      {
        type: 'environment_variable',
        secret_name: 'API_KEY',
        networking: { type: 'limited', allowed_hosts: ['api.test'] },
        injection_location: { header: true, body: true },
      },
      secrets.variable,
    );
    await create(
      'git',
      { type: 'git', url: gitUrl(git.port, ''), username: 'x-access-token' },
      secrets.git,
    );
  } finally {
    keeper.close();
  }
}

export function mcpUrl(port: number): string {
  return `http://mcp.test:${port}/mcp`;
}

/** @param name Of a repository; empty for all of them. */
export function gitUrl(port: number, name: string): string {
  return `http://git.test:${port}/${name === '' ? '' : `${name}.git`}`;
}
