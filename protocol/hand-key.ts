import { z } from 'zod';

/** Name of a hand within its session. */
export const HandKey = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,63}$/, 'must match ^[a-z][a-z0-9_-]{0,63}$');
