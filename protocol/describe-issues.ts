import type { z } from 'zod';

const MAX_ISSUES = 10;
/** A sender's own words may be in it, and what refuses a message carries it whole. */
const MAX_CHARACTERS = 2_000;

/**
 * `field.path: what is wrong` for the first issues, in one line; the root is called `name`. Short,
 * whatever was sent.
 */
export function describeIssues(error: z.ZodError, name: string): string {
  const words = error.issues
    .slice(0, MAX_ISSUES)
    .map((issue) => {
      const path = issue.path.map((part) =>
        typeof part === 'number' ? `[${part}]` : `.${String(part)}`,
      );
      return `${name}${path.join('')}: ${toWords(issue.message)}`;
    })
    .join('; ');
  const isCut = words.length > MAX_CHARACTERS || error.issues.length > MAX_ISSUES;
  return isCut ? `${words.slice(0, MAX_CHARACTERS)}…` : words;
}

const UNKNOWN_TYPE = "Invalid discriminator value. Expected '";

/** Of an unknown `type` the schema speaks as schemas do. */
function toWords(message: string): string {
  if (!message.startsWith(UNKNOWN_TYPE)) return message;
  const allowed = message.slice(UNKNOWN_TYPE.length, -1).split("' | '");
  return `must be one of ${allowed.join(', ')}`;
}
