import { z } from 'zod';
import { AllowedHosts } from './allowed-host.ts';
import { RegistryId } from './registry-id.ts';
import { HandsQueue } from './task-queue.ts';

const Networking = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('unrestricted') }),
  z.strictObject({
    type: z.literal('limited'),
    allowed_hosts: AllowedHosts.default([]),
  }),
]);

/** A manager must not take it for an option. */
const Packages = z
  .array(
    z.string().regex(/^[^-\s]\S*$/, 'must be the name of a package, with or without a version'),
  )
  .max(200)
  .default([]);

/**
 * What a hand is made of. Left out: the provider's own choice. A provider refuses what it does not
 * support when it is asked for a hand.
 */
export const HandConfig = z.strictObject({
  image: z.string().min(1).max(512).optional(),
  cpu_cores: z.number().min(0.05).max(256).optional(),
  memory_mib: z.int().min(64).optional(),
  disk_mib: z.int().min(16).optional(),
  /** A hand ends after this time, whatever it does. */
  max_lifetime_seconds: z.int().min(30).optional(),
  /** Kubernetes: the runtime class, such as one of gVisor or Kata. */
  runtime_class_name: z.string().min(1).optional(),
  /** Kubernetes: labels of the nodes that may run it. */
  node_selector: z.record(z.string(), z.string()).optional(),
  /** Installed as a hand is made, versions in each manager's own way (`package==1.0`). */
  packages: z
    .strictObject({
      type: z.literal('packages').optional(),
      apt: Packages,
      cargo: Packages,
      gem: Packages,
      go: Packages,
      npm: Packages,
      pip: Packages,
    })
    .optional(),
  /** Hands that are held ready for sessions to come. */
  warm_pool_size: z.int().min(0).max(1_000).optional(),
  /** What is kept of a workspace when its hand is released. */
  snapshot: z
    .strictObject({
      /** A larger workspace, compressed, is not kept. */
      max_mib: z.int().min(1).optional(),
      /** Patterns of paths in the workspace that are left out. */
      excludes: z.array(z.string().min(1).max(1_024)).max(200).default([]),
    })
    .optional(),
});
export type HandConfig = z.infer<typeof HandConfig>;

/** How hands are made. `provider` names one that the worker on `task_queue` registered. */
export const EnvironmentDefinition = z.strictObject({
  name: z.string().min(1).max(256).default('environment'),
  description: z.string().nullish(),
  metadata: z.record(z.string(), z.string()).default({}),
  provider: z.string().min(1).default('local'),
  config: HandConfig.optional(),
  /** Default: no network. */
  networking: Networking.default({ type: 'limited', allowed_hosts: [] }),
  /** The hands worker that serves it: `drover-hands` or `drover-hands-<suffix>`. */
  task_queue: HandsQueue.default('drover-hands'),
  /** Seconds without a tool call after which a hand is released, its workspace kept. */
  idle_release_seconds: z.int().min(1).max(31_536_000).default(1800),
});
export type EnvironmentDefinition = z.infer<typeof EnvironmentDefinition>;
export type EnvironmentInput = z.input<typeof EnvironmentDefinition>;

export const DEFAULT_ENVIRONMENT: EnvironmentDefinition = EnvironmentDefinition.parse({
  name: 'default',
});

export const EnvironmentReference = z.strictObject({
  type: z.literal('environment'),
  id: RegistryId,
  version: z.int().min(1).optional(),
});
export type EnvironmentReference = z.infer<typeof EnvironmentReference>;

export interface ResolvedEnvironment {
  readonly id: string | null;
  readonly version: number | null;
  readonly definition: EnvironmentDefinition;
}
