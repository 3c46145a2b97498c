import { z } from 'zod';

/**
 * The schema of a list or a record that is counted before its entries are looked at: each one that
 * is wrong costs time, and a session checks its input within a workflow task.
 */
export function bounded<Schema extends z.ZodType>(
  schema: Schema,
  max: number,
  what: string,
): Schema {
  const counted = z.preprocess((value, context) => {
    const count = typeof value === 'object' && value !== null ? Object.keys(value).length : 0;
    if (count <= max) return value;
    context.addIssue({
      code: 'custom',
      message: `holds ${count} ${what}; at most ${max} are allowed`,
    });
    return z.NEVER;
  }, schema);
  // It takes and gives what the schema does, or fails.
  return counted as unknown as Schema;
}
