import { FAILURE } from '../protocol/failure.ts';
import type { SessionErrorType } from '../protocol/session-event.ts';
import { type Failure, TimeoutType } from './history-event.ts';
import { isRecord, readPayload } from './read-payload.ts';

const ERROR_TYPES: Readonly<Record<string, SessionErrorType>> = {
  [FAILURE.modelRateLimited]: 'model_rate_limited_error',
  [FAILURE.modelOverloaded]: 'model_overloaded_error',
  [FAILURE.modelUnavailable]: 'model_request_failed_error',
  [FAILURE.modelStalled]: 'model_request_failed_error',
  [FAILURE.modelInvalidRequest]: 'model_request_failed_error',
  [FAILURE.modelAuthentication]: 'model_request_failed_error',
  [FAILURE.modelNotFound]: 'model_request_failed_error',
  [FAILURE.modelResultTooLarge]: 'model_request_failed_error',
  [FAILURE.modelInterrupted]: 'model_request_failed_error',
  [FAILURE.modelBilling]: 'billing_error',
};

const TIMEOUT_WORDS: Readonly<Record<number, string>> = {
  [TimeoutType.TIMEOUT_TYPE_HEARTBEAT]: 'its worker stopped answering (heartbeat timeout)',
  [TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE]: 'it did not finish in the time allowed',
  [TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START]: 'no worker took it in the time allowed',
  [TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE]:
    'it did not finish in the time allowed, retries included',
};

/** What kind of `session.error` a failed model step is; a timeout is what it timed out of. */
export function sessionErrorType(failure: Failure | null | undefined): SessionErrorType {
  if (failure === null || failure === undefined) return 'unknown_error';
  const known = ERROR_TYPES[failure.applicationFailureInfo?.type ?? ''];
  return known ?? sessionErrorType(failure.cause);
}

/** What went wrong, in words for a person or a model; no stack, no Temporal wrapping. */
export function describeFailure(failure: Failure | null | undefined): string {
  if (failure === null || failure === undefined) return 'it failed without saying why';
  if (failure.activityFailureInfo) return describeFailure(failure.cause);
  if (failure.timeoutFailureInfo) {
    const { timeoutType } = failure.timeoutFailureInfo;
    const words = TIMEOUT_WORDS[timeoutType ?? 0] ?? 'it timed out';
    return failure.cause ? `${words}; before that: ${describeFailure(failure.cause)}` : words;
  }
  if (failure.canceledFailureInfo) return 'it was cancelled';
  if (failure.resetWorkflowFailureInfo) return 'the session was reset while it ran';
  return messageOf(failure) || failure.applicationFailureInfo?.type || 'it failed without a reason';
}

/** With an encoding failure converter the message stands in a payload of its own. */
function messageOf(failure: Failure): string | null | undefined {
  const encoded = readPayload(failure.encodedAttributes);
  if (isRecord(encoded) && typeof encoded['message'] === 'string') return encoded['message'];
  return failure.message;
}
