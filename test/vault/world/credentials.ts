import { openVaultKeeper } from '../../../vault/keeper.ts';
import { readVaultSettings } from '../../../vault/settings.ts';
import type { Servers, VaultWorld } from './vault-world.ts';

export type Auth = Parameters<ReturnType<typeof openVaultKeeper>['createCredential']>[0]['auth'];

export interface KeptValues {
  readonly bearer: string;
  readonly oauth: {
    readonly access_token: string;
    readonly refresh_token: string;
    readonly client_secret: string;
  };
  readonly variable: string;
  readonly git: string;
}

/** One credential of each kind in vault `team`, as the world's servers want them. */
export function keepCredentials(world: VaultWorld): Promise<void> {
  return keep(world, 'team', goodValues(world));
}

export function goodValues({
  secrets,
  tokens,
}: Pick<VaultWorld, 'secrets' | 'tokens'>): KeptValues {
  return {
    ...secrets,
    oauth: {
      access_token: tokens.accessToken,
      refresh_token: tokens.refreshToken,
      client_secret: secrets.client,
    },
  };
}

/** The same in vault `wrong`, each refused by its server, and each a canary as well. */
export function keepWrongCredentials(world: VaultWorld): Promise<void> {
  const { canaries } = world;
  return keep(world, 'wrong', {
    bearer: canaries.make('wrong bearer'),
    variable: canaries.make('wrong variable'),
    git: canaries.make('wrong git'),
    oauth: {
      access_token: canaries.make('wrong access token'),
      refresh_token: canaries.make('wrong refresh token'),
      client_secret: world.secrets.client,
    },
  });
}

async function keep(world: VaultWorld, vault_id: string, values: KeptValues): Promise<void> {
  const keeper = openVaultKeeper(readVaultSettings(world.variables, world.stateFolder));
  try {
    await keeper.createVault({ id: vault_id });
    for (const { id, auth, value } of credentialsFor(world, values)) {
      await keeper.createCredential({ vault_id, id, auth }, value);
    }
  } finally {
    keeper.close();
  }
}

/** One of each kind. */
export function credentialsFor(
  { tokens, git, mcp, bearerMcp }: Servers,
  values: KeptValues,
): readonly { readonly id: string; readonly auth: Auth; readonly value: string }[] {
  const bearer = { type: 'static_bearer', mcp_server_url: mcpUrl(bearerMcp.port) } as const;
  const oauth = {
    type: 'mcp_oauth',
    mcp_server_url: mcpUrl(mcp.port),
    refresh: {
      client_id: 'drover',
      token_endpoint: tokens.url.replace('127.0.0.1', 'mcp.test'),
      token_endpoint_auth: { type: 'client_secret_post' },
    },
  } as const;
  const variable = {
    type: 'environment_variable',
    secret_name: 'API_KEY',
    networking: { type: 'limited', allowed_hosts: ['api.test'] },
  } satisfies Auth;
  return [
    { id: 'bearer', auth: bearer, value: values.bearer },
    { id: 'oauth', auth: oauth, value: JSON.stringify(values.oauth) },
    { id: 'variable', auth: variable, value: values.variable },
    { id: 'git', auth: { type: 'git', url: gitUrl(git.port, '') }, value: values.git },
  ];
}

export function mcpUrl(port: number): string {
  return `http://mcp.test:${port}/mcp`;
}

/** @param name Of a repository; empty for all of them. */
export function gitUrl(port: number, name: string): string {
  return `http://git.test:${port}/${name === '' ? '' : `${name}.git`}`;
}
