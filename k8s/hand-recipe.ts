import type { HandConfig } from '../protocol/environment.ts';
import type { HandName } from '../protocol/hand.ts';

/** All that the Job of a hand is made from. */
export interface HandRecipe {
  readonly hand: HandName;
  readonly image: string;
  /** Selected by label in the cluster's network policies. */
  readonly network: 'none' | 'unrestricted';
  readonly cpuCores: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  readonly maxLifetimeSeconds: number;
  readonly runtimeClassName: string | null;
  readonly nodeSelector: Readonly<Record<string, string>>;
}

const DEFAULTS = {
  cpuCores: 1,
  memoryMib: 1024,
  diskMib: 4096,
  maxLifetimeSeconds: 24 * 3600,
} as const;

/** @param options.image Used when the environment names none. */
export function toHandRecipe(
  hand: HandName,
  config: HandConfig,
  options: { readonly image: string; readonly network: HandRecipe['network'] },
): HandRecipe {
  return {
    hand,
    image: config.image ?? options.image,
    network: options.network,
    cpuCores: config.cpu_cores ?? DEFAULTS.cpuCores,
    memoryMib: config.memory_mib ?? DEFAULTS.memoryMib,
    diskMib: config.disk_mib ?? DEFAULTS.diskMib,
    maxLifetimeSeconds: config.max_lifetime_seconds ?? DEFAULTS.maxLifetimeSeconds,
    runtimeClassName: config.runtime_class_name ?? null,
    nodeSelector: config.node_selector ?? {},
  };
}
