import type { CredentialInfo } from '../../protocol/credential.ts';
import { openVaultKeeper } from '../../vault/keeper.ts';
import type { VaultSettings } from '../../vault/settings.ts';
import type { TokenEndpoint } from './token-endpoint.ts';

export interface OauthCredentialOptions {
  readonly id?: string;
  readonly tokenEndpoint?: string;
  readonly authType?: 'none' | 'client_secret_basic' | 'client_secret_post';
  readonly clientSecret?: string;
  /** Of the access token that it begins with. */
  readonly expiresInS?: number;
  readonly scope?: string;
  readonly resource?: string;
}

/** What vault `team` holds for an MCP server behind a token endpoint. Makes the vault, too. */
export async function createOauthCredential(
  settings: VaultSettings,
  endpoint: TokenEndpoint,
  options: OauthCredentialOptions = {},
): Promise<CredentialInfo> {
  const { id = 'tracker', authType = 'none', clientSecret } = options;
  const keeper = openVaultKeeper(settings);
  try {
    const vaults = await keeper.listVaults();
    if (vaults.length === 0) await keeper.createVault({ id: 'team' });
    return await keeper.createCredential(
      {
        vault_id: 'team',
        id,
        auth: {
          type: 'mcp_oauth',
          mcp_server_url: `https://${id}.example/mcp`,
          refresh: {
            client_id: 'drover client',
            token_endpoint: options.tokenEndpoint ?? endpoint.url,
            token_endpoint_auth: { type: authType },
            scope: options.scope ?? null,
            resource: options.resource ?? null,
          },
        },
      },
      JSON.stringify({
        access_token: endpoint.accessToken,
        refresh_token: endpoint.refreshToken,
        ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
        ...(options.expiresInS === undefined ? {} : { expires_in: options.expiresInS }),
      }),
    );
  } finally {
    keeper.close();
  }
}

export const TRACKER = { vault_id: 'team', credential_id: 'tracker' } as const;
/** Where the tests' own servers are. */
export const LOOPBACK = { DROVER_VAULT_PRIVATE_NETWORKS: '127.0.0.0/8' } as const;
