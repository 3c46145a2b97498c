import { ActivityFailure } from '@temporalio/workflow';

/** The innermost reason of a failed activity, without Temporal's wrapping. */
export function failureText(error: unknown): string {
  if (error instanceof ActivityFailure && error.cause !== undefined)
    return failureText(error.cause);
  return error instanceof Error ? error.message : String(error);
}
