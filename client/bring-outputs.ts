import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ActivityFailure, TimeoutFailure } from '@temporalio/common';
import { type HandInstance, MAIN_HAND } from '../protocol/hand.ts';
import type { CollectResult, OutputsInput } from '../protocol/output-list.ts';
import type { SessionResource } from '../protocol/session.ts';
import { WORKFLOW_TYPE } from '../protocol/workflow-type.ts';
import { FilesUnavailableError } from './errors/files-unavailable-error.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';
import { WorkerMissingError } from './errors/worker-missing-error.ts';
import { REQUEST_TIMEOUT_MS, type Requests } from './requests.ts';
import { whyUnanswered } from './why-unanswered.ts';

/** Above what the workflow allows its one activity. */
const EXECUTION_TIMEOUT = '15 minutes';
/** Events of a workflow that no worker has taken up. */
const UNTOUCHED_EVENTS = 2;

/**
 * Has the store brought up to date with the files of a hand that lives. A workflow of its own does
 * it: the session's history knows nothing of it.
 */
export async function bringOutputs(
  requests: Requests,
  session: SessionResource,
  hand: string,
): Promise<void> {
  const instance = session.hands[hand];
  if (instance === undefined) return;
  const input = { hand: instance, task_queue: taskQueueOf(session, hand, instance) };
  const handle = await requests.run(undefined, () =>
    requests.client.workflow.start<Outputs>(WORKFLOW_TYPE.outputs, {
      args: [input],
      taskQueue: requests.taskQueue,
      workflowId: `outputs-${randomUUID()}`,
      workflowExecutionTimeout: EXECUTION_TIMEOUT,
    }),
  );
  const untouched = new AbortController();
  try {
    await Promise.race([handle.result(), whenUntouched(requests, handle, untouched.signal)]);
  } catch (error) {
    throw requests.toError(toFilesError(error, session.id, input, hand), undefined);
  } finally {
    untouched.abort();
  }
}

type Outputs = (input: OutputsInput) => Promise<CollectResult | null>;

function taskQueueOf(session: SessionResource, hand: string, instance: HandInstance): string {
  if (instance.session_id !== session.id) {
    throw new InvalidInputError(
      `hand: "${hand}" is hand "${instance.name}" of session "${instance.session_id}"; ask for its files there`,
    );
  }
  const environment = hand === MAIN_HAND ? session.environment : session.environments[hand];
  return environment?.definition.task_queue ?? requiredEnvironment(hand);
}

function requiredEnvironment(hand: string): never {
  throw new InvalidInputError(`hand: "${hand}" has no environment`);
}

/** Rejects when no worker took it up. */
async function whenUntouched(
  requests: Requests,
  handle: WorkflowHandle,
  signal: AbortSignal,
): Promise<never> {
  try {
    await delay(REQUEST_TIMEOUT_MS, undefined, { signal });
    const { historyLength } = await requests.run(undefined, () => handle.describe());
    if (historyLength <= UNTOUCHED_EVENTS) {
      throw new WorkerMissingError(await whyUnanswered(requests, handle.workflowId));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return new Promise<never>(() => {});
}

function toFilesError(
  error: unknown,
  sessionId: string,
  { task_queue }: OutputsInput,
  hand: string,
): unknown {
  if (!(error instanceof WorkflowFailedError)) return error;
  const failure = error.cause instanceof ActivityFailure ? error.cause.cause : error.cause;
  const isUnserved =
    failure instanceof TimeoutFailure && failure.timeoutType === 'SCHEDULE_TO_START';
  const reason = isUnserved
    ? `no worker polls task queue "${task_queue}"; start one, then try again`
    : (failure?.message ?? error.message);
  return new FilesUnavailableError(sessionId, hand, reason, { cause: error });
}
