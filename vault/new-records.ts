import { z } from 'zod';
import { CredentialAuth, CredentialId, VaultId } from '../protocol/credential.ts';
import { describeIssues } from '../protocol/describe-issues.ts';
import { FAILURE } from '../protocol/failure.ts';
import { VaultError } from './vault-error.ts';

const DisplayName = z.string().min(1).max(255).nullable().default(null);
const Metadata = z.record(z.string().max(64), z.string().max(512)).default({});
const Allowed = z.array(z.string().min(1).max(256)).min(1).max(100).nullable().default(null);

export const NewVault = z.strictObject({
  id: VaultId,
  display_name: DisplayName,
  metadata: Metadata,
  allowed_agents: Allowed,
  allowed_owners: Allowed,
});
export type NewVault = z.input<typeof NewVault>;

/** All but its values. */
export const NewCredential = z.strictObject({
  vault_id: VaultId,
  id: CredentialId,
  display_name: DisplayName,
  metadata: Metadata,
  auth: CredentialAuth,
});
export type NewCredential = z.input<typeof NewCredential>;

/** @throws VaultError naming the fields that are wrong */
export function check<Schema extends z.ZodType>(
  schema: Schema,
  what: string,
  value: z.input<Schema>,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new VaultError(FAILURE.vaultInvalid, describeIssues(parsed.error, what));
}
