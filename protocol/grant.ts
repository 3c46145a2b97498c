import { z } from 'zod';
import type { HandName } from './hand.ts';

/**
 * A variable of a hand's commands whose value never reaches the hand: they see the placeholder, and
 * the way out puts the value in its place, for these hosts only. Nothing in it is secret.
 */
export const VariableGrant = z.strictObject({
  name: z.string(),
  /** Letters, digits and underscores: the same in a URL, in JSON and in a header. */
  placeholder: z.string(),
  vault_id: z.string(),
  credential_id: z.string(),
  /** Names, `*.example.com` and addresses of version 4; null: wherever the hand may go. */
  hosts: z.array(z.string()).nullable(),
  /** Where in a request the value is put. */
  header: z.boolean(),
  body: z.boolean(),
});
export type VariableGrant = z.infer<typeof VariableGrant>;

/** What a hand may use of its session's vaults. */
export interface HandGrants {
  readonly variables: readonly VariableGrant[];
}

export interface GrantInput {
  readonly hand: HandName;
  readonly vault_ids: readonly string[];
}

/** On the vault's task queue, before a hand of a session with vaults is made. */
export interface GrantActivities {
  grant(input: GrantInput): Promise<HandGrants>;
}
