import type { LogReader } from '../log/log-reader.ts';
import type { SendResult, SessionResource } from '../protocol/session.ts';
import type { EventOfType, SessionEvent, SessionEventType } from '../protocol/session-event.ts';
import type { SendInput } from '../protocol/user-event.ts';
import {
  type CreatedSession,
  type CreateSession,
  type CreateSessionOptions,
  createSession,
} from './create-session.ts';
import { SessionEndedError } from './errors/session-ended-error.ts';
import { createGlimpseReader } from './glimpse.ts';
import { type ListSessionsOptions, listSessions, type SessionListing } from './list-sessions.ts';
import { createPreviews, type WatchPreviews } from './previews.ts';
import type { Requests } from './requests.ts';
import { type SendOptions, sendEvents } from './send-events.ts';
import { type WaitOptions, waitUntilIdle } from './wait-until-idle.ts';

/** A part of a log: whatever is not given does not limit it. */
export interface SliceOptions {
  /** Only events after, or before, this position. */
  readonly after?: string;
  readonly before?: string;
  /** Default: `asc`, oldest first. */
  readonly order?: 'asc' | 'desc';
  readonly limit?: number;
  /** Only events of these types. */
  readonly types?: readonly SessionEventType[];
}

export interface TailOptions {
  /** Position of the last event one has; default: from the beginning. */
  readonly after?: string;
  readonly types?: readonly SessionEventType[];
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal;
}

export interface ConfirmOptions extends SendOptions {
  /** Told to the model with a denial. */
  readonly message?: string;
}

/** Reading needs no worker: neither `get`, `list`, `events` nor `tail`. */
export interface Sessions {
  /**
   * Recorded by the server at once, also when no worker runs yet.
   * @throws AlreadyExistsError when the id names a session already, ended or not
   */
  create(input: CreateSession, options?: CreateSessionOptions): Promise<CreatedSession>;
  /** @throws NotFoundError */
  get(id: string): Promise<SessionResource>;
  /** Newest first. */
  list(options?: ListSessionsOptions): Promise<SessionListing[]>;
  /**
   * Ends the session: its hands are released with all that was kept of them, its log stays. Ended
   * already is success. Resolves when it is asked for, not when it is done.
   */
  archive(id: string): Promise<void>;
  /**
   * Resolves once the events are in the log.
   * @throws EventNotRecordedError after 10 s without a worker
   * @throws InvalidInputError naming the event and the field, or a call that nothing waits for
   * @throws SessionEndedError
   */
  send(id: string, input: SendInput, options?: SendOptions): Promise<SendResult>;
  /** Stops what the session is doing; what the model said and its calls gave so far stays. */
  interrupt(id: string, options?: SendOptions): Promise<SendResult>;
  /** Answers a tool use that waits for a person. */
  confirm(
    id: string,
    toolUseId: string,
    result: 'allow' | 'deny',
    options?: ConfirmOptions,
  ): Promise<SendResult>;
  /**
   * A slice of the log, of live sessions and ended ones.
   * @throws CursorAbandonedError for a position of a run that was abandoned by a reset
   */
  events(id: string, options?: SliceOptions): Promise<SessionEvent[]>;
  /** The log as it grows. A queued user event comes twice: `processed_at` is null at first. */
  tail(id: string, options?: TailOptions): AsyncGenerator<SessionEvent, void, undefined>;
  /** What is being said and what else goes on, best effort: a look every 120 ms. */
  previews: WatchPreviews;
  /**
   * The first idle after the named event.
   * @throws SessionEndedError, WaitTimeoutError
   */
  waitUntilIdle(id: string, options: WaitOptions): Promise<EventOfType<'session.status_idle'>>;
}

export function createSessions(requests: Requests, log: LogReader): Sessions {
  const subject = (id: string) => ({ type: 'session', id }) as const;
  const reader = withOurErrors(log, requests);
  const send: Sessions['send'] = (id, input, options) =>
    sendEvents({ requests, log: reader }, id, input, options);
  return {
    create: (input, options) => createSession(requests, input, options),
    get: (id) => reader.session(id),
    list: (options) => listSessions(requests, options),
    async archive(id) {
      try {
        await requests.run(subject(id), () => requests.client.workflow.getHandle(id).cancel());
      } catch (error) {
        if (!(error instanceof SessionEndedError)) throw error;
      }
    },
    send,
    interrupt: (id, options) => send(id, { type: 'user.interrupt' }, options),
    confirm: (id, toolUseId, result, { message, ...options } = {}) =>
      send(
        id,
        {
          type: 'user.tool_confirmation',
          tool_use_id: toolUseId,
          result,
          ...(message === undefined ? {} : { deny_message: message }),
        },
        options,
      ),
    events: (id, options) => reader.read(id, options),
    tail: (id, options) => reader.tail(id, options),
    previews: createPreviews(createGlimpseReader(requests)),
    waitUntilIdle: (id, options) => waitUntilIdle(reader, id, options),
  };
}

interface Reader extends LogReader {
  tail(...args: Parameters<LogReader['tail']>): AsyncGenerator<SessionEvent, void, undefined>;
}

function withOurErrors(log: LogReader, requests: Requests): Reader {
  const subject = (id: string) => ({ type: 'session', id }) as const;
  return {
    read: (id, options) => requests.run(subject(id), () => log.read(id, options)),
    session: (id) => requests.run(subject(id), () => log.session(id)),
    async *tail(id, options) {
      try {
        yield* log.tail(id, options);
      } catch (error) {
        throw requests.toError(error, subject(id));
      }
    },
  };
}
