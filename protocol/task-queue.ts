/** Task queues. An environment may name its own hands queue, `drover-hands-<suffix>`. */
export const TASK_QUEUE = {
  /** Workflows and model steps. */
  session: 'drover',
  hands: 'drover-hands',
  vault: 'drover-vault',
} as const;
