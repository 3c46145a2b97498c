import type { CredentialReference } from './credential.ts';

/**
 * Activities on task queue `drover-vault`: they alone turn references into values, at the moment of
 * use. Which session asks is taken from the activity's own info, never from input. Each room that
 * serves some extends this by its own interface.
 */
// biome-ignore lint/suspicious/noEmptyInterface: MCP and egress add theirs.
export interface VaultActivities {}

export type { CredentialReference };
