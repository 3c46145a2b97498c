import { DroverError } from '../errors/drover-error.ts';

/** Exit codes of the command line. */
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** One line for a person: what failed and what to do. */
export function wordsOf(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error);
  return words.replace(/\s*\n\s*/g, ' ');
}

/** For programs: the code of an error of ours, or `unexpected`. */
export function codeOf(error: unknown): string {
  if (error instanceof DroverError) return error.code;
  const known = error instanceof Error && 'code' in error && typeof error.code === 'string';
  return known ? String((error as { readonly code: unknown }).code) : 'unexpected';
}
