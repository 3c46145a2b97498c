import type { z } from 'zod';

/** `field.path: what is wrong` for every issue, in one line; the root is called `name`. */
export function describeIssues(error: z.ZodError, name: string): string {
  return error.issues
    .map((issue) => {
      const path = issue.path.map((part) =>
        typeof part === 'number' ? `[${part}]` : `.${String(part)}`,
      );
      return `${name}${path.join('')}: ${issue.message}`;
    })
    .join('; ');
}
