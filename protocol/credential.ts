import { z } from 'zod';
import { AllowedHost } from './allowed-host.ts';
import { bounded } from './bounded.ts';
import { McpServerUrl } from './mcp-server-url.ts';

/** Chosen by whoever makes it: a person reads it in sessions, and it is part of a path. */
const Id = z
  .string()
  .regex(
    /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/,
    'must be 1 to 64 letters, digits, "-" or "_", and start with a letter or a digit',
  );

export const VaultId = Id;
export const CredentialId = Id;

const MAX_VAULTS = 20;

/** The vaults that a session names. */
export const VaultIds = bounded(
  z.array(VaultId).superRefine((ids, context) => {
    for (const [index, id] of ids.entries()) {
      if (ids.indexOf(id) === index) continue;
      context.addIssue({ code: 'custom', path: [index], message: `"${id}" is named twice` });
    }
  }),
  MAX_VAULTS,
  'vault ids',
);

/** What payloads hold in place of a secret. */
export const CredentialReference = z.strictObject({
  vault_id: VaultId,
  credential_id: CredentialId,
});
export type CredentialReference = z.infer<typeof CredentialReference>;

const MAX_CREDENTIAL_HOSTS = 16;

const CredentialHost = AllowedHost.refine((entry) => !entry.includes(':'), {
  message: 'must have no port: a credential is for a host',
});

export const CredentialNetworking = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('unrestricted') }),
  z.strictObject({
    type: z.literal('limited'),
    allowed_hosts: z.array(CredentialHost).min(1).max(MAX_CREDENTIAL_HOSTS),
  }),
]);
export type CredentialNetworking = z.infer<typeof CredentialNetworking>;

export const InjectionLocation = z
  .strictObject({ header: z.boolean().default(true), body: z.boolean().default(true) })
  .refine(({ header, body }) => header || body, {
    message: 'must name at least one place, header or body',
  });
export type InjectionLocation = z.infer<typeof InjectionLocation>;

/** An address over which secrets are sent: nothing of theirs stands in it. */
function secretBearingUrl(what: string) {
  return z
    .string()
    .max(2_048)
    .refine((value) => {
      const url = URL.canParse(value) ? new URL(value) : undefined;
      if (url === undefined || !/^https?:$/.test(url.protocol)) return false;
      return url.username + url.password + url.hash === '';
    }, `must be the http or https URL of ${what}, without name, password or fragment`);
}

const EnvironmentName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'must be the name of an environment variable');

/** The token endpoint that gives new access tokens for a refresh token. */
export const OauthRefresh = z.strictObject({
  client_id: z.string().min(1).max(1_024),
  token_endpoint: secretBearingUrl('a token endpoint'),
  token_endpoint_auth: z.strictObject({
    type: z.enum(['none', 'client_secret_basic', 'client_secret_post']),
  }),
  resource: z.string().max(2_048).nullable().default(null),
  scope: z.string().max(4_096).nullable().default(null),
});
export type OauthRefresh = z.infer<typeof OauthRefresh>;

const GIT_USERNAME = 'x-access-token';

/** What a credential is for and where it may go. No secret is in it. */
export const CredentialAuth = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('static_bearer'), mcp_server_url: McpServerUrl }),
  z.strictObject({
    type: z.literal('mcp_oauth'),
    mcp_server_url: McpServerUrl,
    /** RFC 3339: when the access token ends. Null: nobody said. */
    expires_at: z.iso.datetime({ offset: true }).nullable().default(null),
    /** Null: without a refresh token. */
    refresh: OauthRefresh.nullable().default(null),
  }),
  z.strictObject({
    type: z.literal('environment_variable'),
    secret_name: EnvironmentName,
    networking: CredentialNetworking,
    injection_location: InjectionLocation.default({ header: true, body: true }),
  }),
  z.strictObject({
    type: z.literal('git'),
    /** Of a repository, or the beginning of those that the token is good for. */
    url: secretBearingUrl('a git repository or of a folder of repositories'),
    username: z
      .string()
      .regex(/^[\x21-\x39\x3b-\x7e]{1,255}$/, 'must be ASCII without spaces and colons')
      .default(GIT_USERNAME),
  }),
]);
export type CredentialAuth = z.infer<typeof CredentialAuth>;
export type CredentialType = CredentialAuth['type'];

/** A credential without its values. */
export interface CredentialInfo {
  readonly type: 'vault_credential';
  readonly id: string;
  readonly vault_id: string;
  readonly display_name: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly auth: CredentialAuth;
  readonly created_at: string;
  readonly updated_at: string;
  readonly archived_at: string | null;
}

/** A named set of credentials. */
export interface VaultInfo {
  readonly type: 'vault';
  readonly id: string;
  readonly display_name: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** Ids of the registered agents that may use it. Null: any agent. */
  readonly allowed_agents: readonly string[] | null;
  /** Those whose sessions may use it. Null: anybody's. */
  readonly allowed_owners: readonly string[] | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly archived_at: string | null;
}
