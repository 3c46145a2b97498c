import type { GrantActivities } from './grant.ts';
import type { McpActivities } from './mcp.ts';
import type { StartProofActivities } from './start-proof.ts';

/**
 * Activities on task queue `drover-vault`: they alone turn references into values, at the moment of
 * use. Which session asks is taken from the activity's own info, never from input. Each room that
 * serves some extends this by its own interface.
 */
export interface VaultActivities extends GrantActivities, McpActivities, StartProofActivities {}
