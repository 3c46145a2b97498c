import { z } from 'zod';

/** A variable of the environment; an empty one is none. */
export const settingText = z
  .string()
  .optional()
  .transform((value) => (value === '' ? undefined : value));

/** What cannot be sent as a header would be told, whole, by the error that says so. */
export const settingSecret = settingText
  .transform((value) => value?.trim())
  .refine((value) => value === undefined || /^[\x21-\x7e]+$/.test(value), {
    message: 'must be one line of ASCII characters without spaces',
  });
