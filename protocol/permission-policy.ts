import { z } from 'zod';

/** Whether a tool that is offered to the model runs at once, or when a person said so. */
export const PermissionPolicy = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('always_allow') }),
    z.strictObject({ type: z.literal('always_ask') }),
  ],
  { error: 'must be {"type":"always_allow"} or {"type":"always_ask"}' },
);
