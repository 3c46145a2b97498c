import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  isGrpcServiceError,
  ServiceError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import type { LogReader } from '../log/log-reader.ts';
import { checkEvents } from '../protocol/check-events.ts';
import { userEventId } from '../protocol/ids.ts';
import { send } from '../protocol/messages.ts';
import type { SendResult } from '../protocol/session.ts';
import type { SendInput } from '../protocol/user-event.ts';
import { EventNotRecordedError } from './errors/event-not-recorded-error.ts';
import { EventTooLargeError } from './errors/event-too-large-error.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';
import { findEvent } from './find-event.ts';
import type { Requests } from './requests.ts';
import { whyUnanswered } from './why-unanswered.ts';

export interface SendOptions {
  /** Names this sending. The same id is recorded once however often it is sent. Default: a new one. */
  readonly id?: string;
}

const GRPC_FAILED_PRECONDITION = 9;
const TASK_RETRY_MS = 100;

/** One `send`, answered once the events are in the log. */
export async function sendEvents(
  deps: { readonly requests: Requests; readonly log: LogReader },
  sessionId: string,
  input: SendInput,
  options: SendOptions = {},
): Promise<SendResult> {
  const checked = checkEvents(input);
  if (!checked.ok) {
    if (checked.oversized !== undefined) throw new EventTooLargeError(checked.oversized);
    throw new InvalidInputError(checked.message);
  }
  const id = options.id ?? randomUUID();
  const subject = { type: 'session', id: sessionId } as const;
  try {
    return await deps.requests.run(subject, () =>
      whileTaskFails(() =>
        deps.requests.client.workflow
          .getHandle(sessionId)
          .executeUpdate(send, { args: [checked.events], updateId: id }),
      ),
    );
  } catch (error) {
    if (!(error instanceof WorkflowUpdateRPCTimeoutOrCancelledError)) throw error;
    return settleUnanswered(deps, sessionId, id, checked.events.length, error);
  }
}

/**
 * A workflow task that failed takes the updates along that it held, though only for its worker was
 * killed or something arrived as a run ended. The same id is sent again until the deadline.
 */
async function whileTaskFails<Result>(request: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      const grpc = error instanceof ServiceError ? error.cause : error;
      const isPassing =
        isGrpcServiceError(grpc) &&
        grpc.code === GRPC_FAILED_PRECONDITION &&
        /workflow task/i.test(grpc.details);
      if (!isPassing) throw error;
      await delay(TASK_RETRY_MS);
    }
  }
}

/** The deadline passed: the log says whether the events arrived. */
async function settleUnanswered(
  { requests, log }: { readonly requests: Requests; readonly log: LogReader },
  sessionId: string,
  id: string,
  count: number,
  cause: unknown,
): Promise<SendResult> {
  const subject = { type: 'session', id: sessionId } as const;
  const eventIds = Array.from({ length: count }, (_, item) => userEventId(id, item));
  const recorded = await requests.run(subject, () => findEvent(log, sessionId, userEventId(id, 0)));
  if (recorded !== undefined) return { event_ids: eventIds };
  const why = await whyUnanswered(requests, sessionId);
  throw new EventNotRecordedError(id, why, { cause });
}
