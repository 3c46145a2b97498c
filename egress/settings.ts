import type { BlockList } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { PrivateNetworks } from '../dial/private-networks.ts';
import { describeIssues } from '../protocol/describe-issues.ts';
import { settingText } from '../protocol/setting.ts';

const Variables = z.object({
  /** File of the keys that tokens are signed with. Default: made in the state folder. */
  DROVER_EGRESS_KEYS: z.string().default(''),
  /** Where hands of other machines reach the gateway. Default: they do not. */
  DROVER_EGRESS_PORT: settingText
    .transform((value) => (value === undefined ? undefined : Number(value)))
    .pipe(z.int().min(0).max(65_535).optional()),
  /** Comma-separated networks that hands may reach though they are not public. */
  DROVER_EGRESS_PRIVATE_NETWORKS: PrivateNetworks,
});

export interface EgressSettings {
  /** The authority of certificates lies beside it. */
  readonly keys:
    | { readonly type: 'file'; readonly path: string }
    /** Made when there are none. */
    | { readonly type: 'folder'; readonly folder: string };
  /** Null: only hands of this machine reach it. */
  readonly port: number | null;
  readonly privateNetworks: BlockList;
}

/** @throws Error naming every variable that is wrong. */
export function readEgressSettings(
  variables: NodeJS.ProcessEnv,
  stateFolder: string,
): EgressSettings {
  const parsed = Variables.safeParse(variables);
  if (!parsed.success) throw new Error(describeIssues(parsed.error, 'environment'));
  const { DROVER_EGRESS_KEYS: path, DROVER_EGRESS_PORT: port = null } = parsed.data;
  return {
    keys:
      path === ''
        ? { type: 'folder', folder: join(stateFolder, 'egress') }
        : { type: 'file', path },
    port,
    privateNetworks: parsed.data.DROVER_EGRESS_PRIVATE_NETWORKS,
  };
}
