import { z } from 'zod';

/** Task queues. An environment may name its own hands queue, `drover-hands-<suffix>`. */
export const TASK_QUEUE = {
  /** Workflows and model steps. */
  session: 'drover',
  hands: 'drover-hands',
  /** See `vaultQueueOf`. */
  vault: 'drover-vault',
} as const;

/** Where the sessions of a queue have their credentials used. */
export function vaultQueueOf(sessionQueue: string): string {
  return `${sessionQueue}-vault`;
}

export const HandsQueue = z
  .string()
  .max(200)
  .regex(/^drover-hands(-[a-zA-Z0-9_.-]+)?$/, 'must be drover-hands or start with drover-hands-');

/** Where somebody's own worker serves tools of an agent. */
export const ToolsQueue = z
  .string()
  .max(200)
  .regex(/^drover-tools-[a-zA-Z0-9_.-]+$/, 'must start with drover-tools-');
