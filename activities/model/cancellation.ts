import { ApplicationFailure, CancelledFailure, type Context } from '@temporalio/activity';
import { FAILURE } from '../../protocol/failure.ts';

/**
 * Whether the user interrupted the step, in which case it returns what was said. Any other reason
 * throws: a worker that stops lets another attempt make the request, and an operator's pause or
 * reset, a timeout or a vanished workflow want no result.
 *
 * @throws ApplicationFailure `Model.Interrupted`, retryable, when the worker shuts down
 * @throws CancelledFailure for the other reasons
 */
export function isUserInterrupt(context: Context): boolean {
  if (!context.cancellationSignal.aborted) return false;
  const details = context.cancellationDetails;
  const reason: unknown = context.cancellationSignal.reason;
  const words = reason instanceof Error ? reason.message : 'cancelled';
  // During its shutdown a worker cancels by itself and gives no details.
  if (details?.workerShutdown || words === 'WORKER_SHUTDOWN') {
    throw ApplicationFailure.create({
      type: FAILURE.modelInterrupted,
      message: 'The worker was stopped while the model answered; another attempt asks again.',
      nonRetryable: false,
    });
  }
  if (details?.cancelRequested) return true;
  throw new CancelledFailure(words);
}
