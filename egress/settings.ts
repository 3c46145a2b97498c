import type { BlockList } from 'node:net';
import { z } from 'zod';
import { describeIssues } from '../protocol/describe-issues.ts';
import { toBlockList } from '../dial/public-addresses.ts';

const Variables = z.object({
  /** File of the keys that tokens are signed with. */
  DROVER_EGRESS_KEYS: z.string().min(1),
  DROVER_EGRESS_PORT: z.coerce.number().int().min(0).max(65_535).default(3128),
  /** Comma-separated networks that hands may reach though they are not public. */
  DROVER_EGRESS_PRIVATE_NETWORKS: z
    .string()
    .default('')
    .transform((value, context) => {
      const networks = value.split(',').map((network) => network.trim());
      try {
        return toBlockList(networks.filter((network) => network !== ''));
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message });
        return z.NEVER;
      }
    }),
});

export interface EgressSettings {
  readonly keysPath: string;
  readonly port: number;
  readonly privateNetworks: BlockList;
}

/** @throws Error naming every variable that is wrong. */
export function readSettings(variables: NodeJS.ProcessEnv): EgressSettings {
  const parsed = Variables.safeParse(variables);
  if (!parsed.success) throw new Error(describeIssues(parsed.error, 'environment'));
  const { data } = parsed;
  return {
    keysPath: data.DROVER_EGRESS_KEYS,
    port: data.DROVER_EGRESS_PORT,
    privateNetworks: data.DROVER_EGRESS_PRIVATE_NETWORKS,
  };
}
