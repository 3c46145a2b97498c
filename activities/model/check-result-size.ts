import { ApplicationFailure } from '@temporalio/common';
import { FAILURE } from '../../protocol/failure.ts';

/** The server refuses a payload of 2 MB; a codec and the envelope need some of it. */
const MAX_RESULT_BYTES = 1_800_000;

/**
 * A result over the server's payload limit would be refused and tried again for ever.
 *
 * @throws ApplicationFailure `Model.ResultTooLarge`, not retryable
 */
export function checkResultSize(result: unknown): void {
  const bytes = Buffer.byteLength(JSON.stringify(result));
  if (bytes <= MAX_RESULT_BYTES) return;
  throw ApplicationFailure.create({
    type: FAILURE.modelResultTooLarge,
    message:
      `The step's events are ${bytes} bytes; one step may put at most ${MAX_RESULT_BYTES} into the log. ` +
      "Lower the agent's max_tokens, or ask for less at once.",
    nonRetryable: true,
  });
}
