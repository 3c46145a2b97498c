import { RetryState } from '@temporalio/common';
import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';
import { TASK_QUEUE } from '../protocol/task-queue.ts';
import { GRANT_MINUTES, PROVISION_MINUTES } from './activities.ts';
import { failureText } from './failure-text.ts';

const TOO_LATE = `it was not ready within ${PROVISION_MINUTES} minutes`;

/** Why a hand could not be made, in words for the model. */
export function provisionProblem(error: unknown): string {
  if (!(error instanceof ActivityFailure)) return failureText(error);
  const { cause } = error;
  if (error.activityType === 'grant') return grantProblem(error);
  if (cause instanceof TimeoutFailure) {
    const last = waitedFor(cause.lastHeartbeatDetails) ?? reasonOf(cause.cause);
    return last === undefined ? `${TOO_LATE}.` : `${TOO_LATE}; last it waited for: ${last}`;
  }
  // The next attempt would have begun too late.
  if (error.retryState === RetryState.TIMEOUT) return `${TOO_LATE}; last: ${failureText(error)}`;
  return failureText(error);
}

function grantProblem({ cause, retryState }: ActivityFailure): string {
  const isLate = cause instanceof TimeoutFailure || retryState === RetryState.TIMEOUT;
  if (!isLate) return failureText(cause);
  const last = cause instanceof TimeoutFailure ? reasonOf(cause.cause) : failureText(cause);
  const late = `no worker said within ${GRANT_MINUTES} minutes what it may use of the session's vaults`;
  return last === undefined
    ? `${late} (task queue ${TASK_QUEUE.vault}).`
    : `${late}; last: ${last}`;
}

function waitedFor(details: unknown): string | undefined {
  const reason =
    typeof details === 'object' && details !== null && 'waiting_for' in details
      ? details.waiting_for
      : undefined;
  return typeof reason === 'string' ? reason : undefined;
}

function reasonOf(cause: unknown): string | undefined {
  return cause instanceof ApplicationFailure ? cause.message : undefined;
}
