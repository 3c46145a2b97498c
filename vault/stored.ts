import { z } from 'zod';
import {
  CredentialAuth,
  type CredentialInfo,
  type CredentialReference,
  type VaultInfo,
} from '../protocol/credential.ts';
import { describeIssues } from '../protocol/describe-issues.ts';
import { FAILURE } from '../protocol/failure.ts';
import { VaultError } from './vault-error.ts';

const Times = {
  created_at: z.string(),
  updated_at: z.string(),
  archived_at: z.string().nullable(),
};

const StoredVault = z.object({
  type: z.literal('vault'),
  id: z.string(),
  display_name: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  allowed_agents: z.array(z.string()).nullable(),
  allowed_owners: z.array(z.string()).nullable(),
  ...Times,
});

/** The values of one credential, by the kind of it. */
export const CredentialValues = z.discriminatedUnion('type', [
  z.object({ type: z.literal('static_bearer'), token: z.string() }),
  z.object({
    type: z.literal('mcp_oauth'),
    access_token: z.string(),
    refresh_token: z.string().nullable(),
    client_secret: z.string().nullable(),
  }),
  z.object({ type: z.literal('environment_variable'), secret_value: z.string() }),
  z.object({ type: z.literal('git'), token: z.string() }),
]);
export type CredentialValues = z.infer<typeof CredentialValues>;

/** Written before a token endpoint is asked, removed with the tokens that it gave. */
const RefreshAttempt = z.object({
  id: z.string(),
  started_at: z.string(),
  /** Host and process, for people. */
  by: z.string(),
});
export type RefreshAttempt = z.infer<typeof RefreshAttempt>;

const StoredCredential = z.object({
  type: z.literal('vault_credential'),
  id: z.string(),
  vault_id: z.string(),
  display_name: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  auth: CredentialAuth,
  ...Times,
  /** Null once it is archived. */
  values: CredentialValues.nullable(),
  attempt: RefreshAttempt.nullable().default(null),
  /** When a refresh began whose answer never came or was never written. */
  lost_answer_at: z.string().nullable().default(null),
});
export type StoredCredential = z.infer<typeof StoredCredential>;

export const VAULTS = 'vaults';

export function vaultName(id: string): string {
  return `${VAULTS}/${id}`;
}

export function credentialsFolder(vaultId: string): string {
  return `credentials/${vaultId}`;
}

export function credentialName(reference: CredentialReference): string {
  return `${credentialsFolder(reference.vault_id)}/${reference.credential_id}`;
}

/** @throws VaultError naming the record and the fields that are wrong, no values. */
export function readStoredVault(name: string, body: string): VaultInfo {
  return read(StoredVault, name, body);
}

/** @throws VaultError naming the record and the fields that are wrong, no values. */
export function readStoredCredential(name: string, body: string): StoredCredential {
  return read(StoredCredential, name, body);
}

/** What may be shown. */
export function toInfo({
  values: _,
  attempt: __,
  lost_answer_at: ___,
  ...info
}: StoredCredential): CredentialInfo {
  return info;
}

function read<Schema extends z.ZodType>(
  schema: Schema,
  name: string,
  body: string,
): z.output<Schema> {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw malformed(name, 'it is no JSON');
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw malformed(name, describeIssues(parsed.error, 'record'));
}

function malformed(name: string, why: string): VaultError {
  return new VaultError(
    FAILURE.vaultInvalid,
    `record ${name} of the vault was not written by this version of Drover: ${why}`,
  );
}
