import { z } from 'zod';

/**
 * With what a session was started, as the vault's worker read it in the first run of its chain, and
 * signed for that chain alone: it outlives the run, which retention removes. Nothing in it is secret.
 */
export const StartProof = z.object({
  vault_ids: z.array(z.string()),
  /** Null: an agent that is not registered. */
  agent_id: z.string().nullable(),
  /** Null: nobody says. */
  owner: z.string().nullable(),
  /** Base64. */
  signature: z.string(),
});
export type StartProof = z.infer<typeof StartProof>;

/** On the vault's task queue, before a session with vaults rolls over for the first time. */
export interface StartProofActivities {
  proveStart(): Promise<StartProof>;
}
