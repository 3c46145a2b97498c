import { ApplicationFailure } from '@temporalio/common';
import { ClusterError } from '../../../k8s/connection/cluster-error.ts';
import { TransferError } from '../../../k8s/sandbox/transfer-frames.ts';
import { FAILURE } from '../../../protocol/failure.ts';
import type { HandName } from '../../../protocol/hand.ts';
import { StoreError } from '../../../store/store.ts';
import type { Cause } from './pod-state.ts';

/** The failure of a hand that could not be made. */
export function toSandboxFailure({ name, session_id }: HandName, cause: Cause): ApplicationFailure {
  return ApplicationFailure.create({
    type: cause.type,
    message: `Hand ${name} of session ${session_id} could not be made: ${cause.text}`,
    nonRetryable: !cause.isPassing,
  });
}

/** What the cluster's API refuses will not pass by itself, unless it is only busy or away. */
function toClusterFailure(error: ClusterError): ApplicationFailure {
  const { status } = error;
  const isPassing = status === 0 || status === 409 || status === 429 || status >= 500;
  return ApplicationFailure.create({
    type: isPassing ? FAILURE.sandboxClusterUnreachable : FAILURE.sandboxClusterRefused,
    message: `The cluster did not do what was asked: ${error.message}`,
    nonRetryable: !isPassing,
    cause: error,
  });
}

/** What the cluster, the store or the way between them failed with. */
export function toFailure(error: unknown): unknown {
  if (error instanceof ClusterError) return toClusterFailure(error);
  if (error instanceof TransferError) {
    const message = `The transfer from or to the sandbox failed: ${error.message}`;
    return ApplicationFailure.create({ type: FAILURE.sandboxUnavailable, message });
  }
  if (!(error instanceof StoreError)) return error;
  // Also a refusal may pass: what is to be kept waits for whoever corrects the configuration.
  const type = error.problem === 'refused' ? FAILURE.storeRefused : FAILURE.storeUnreachable;
  return ApplicationFailure.create({ type, message: error.message });
}
