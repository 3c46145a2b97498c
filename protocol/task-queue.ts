import { z } from 'zod';

/** Task queues. An environment may name its own hands queue, `drover-hands-<suffix>`. */
export const TASK_QUEUE = {
  /** Workflows and model steps. */
  session: 'drover',
  hands: 'drover-hands',
  vault: 'drover-vault',
} as const;

export const HandsQueue = z
  .string()
  .max(200)
  .regex(/^drover-hands(-[a-zA-Z0-9_.-]+)?$/, 'must be drover-hands or start with drover-hands-');
