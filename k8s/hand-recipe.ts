import type { HandConfig } from '../protocol/environment.ts';
import type { ProgramSource } from './carried-program.ts';

/** All that the Job of a hand is made from, whoever's it will be. */
export interface HandRecipe {
  readonly image: string;
  readonly program: ProgramSource;
  /** Selected by label in the cluster's network policies. */
  readonly network: 'none' | 'limited' | 'unrestricted';
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

export interface RecipeOptions {
  /** The default sandbox, which holds the daemon; used when the environment names no image. */
  readonly image: string;
  readonly network: HandRecipe['network'];
  /** How the daemon is carried into other images. Default: by an init container. */
  readonly carriedBy?: 'init_container' | 'image_volume';
}

export function toHandRecipe(config: HandConfig, options: RecipeOptions): HandRecipe {
  return {
    image: config.image ?? options.image,
    program: programFor(config, options),
    network: options.network,
    cpuCores: config.cpu_cores ?? DEFAULTS.cpuCores,
    memoryMib: config.memory_mib ?? DEFAULTS.memoryMib,
    diskMib: config.disk_mib ?? DEFAULTS.diskMib,
    maxLifetimeSeconds: config.max_lifetime_seconds ?? DEFAULTS.maxLifetimeSeconds,
    runtimeClassName: config.runtime_class_name ?? null,
    nodeSelector: config.node_selector ?? {},
  };
}

function programFor(config: HandConfig, options: RecipeOptions): ProgramSource {
  const { image, carriedBy = 'init_container' } = options;
  const isDefault = config.image === undefined || config.image === image;
  return isDefault ? { type: 'own_image' } : { type: carriedBy, image };
}
