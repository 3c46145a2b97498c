import { z } from 'zod';

/** Id of a registry entity: part of a workflow id, which the server refuses when it is no text. */
export const RegistryId = z
  .string()
  .min(1)
  .max(256)
  .regex(/^\P{Cs}+$/u, 'must be well-formed text');
