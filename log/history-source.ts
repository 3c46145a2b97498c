import { isGrpcServiceError, type WorkflowService } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { decodeHistory } from './decode-history.ts';
import { RunNotRetainedError } from './errors/run-not-retained-error.ts';
import { SessionNotFoundError } from './errors/session-not-found-error.ts';
import { eventIdOf, type HistoryEvent, toNumber } from './history-event.ts';
import { createSharedRequests, type WithAbortSignal } from './shared-requests.ts';

/** What reading the log needs of a Temporal connection. */
export interface LogDependencies {
  readonly service: WorkflowService;
  readonly namespace: string;
  /** Undone, last first, on what is read. Default: none. */
  readonly payloadCodecs?: readonly PayloadCodec[] | undefined;
  /**
   * Of the connection that `service` belongs to. With it an aborted tail ends its long poll on the
   * server too; without it the poll is left to run out, in at most 20 s.
   */
  readonly withAbortSignal?: WithAbortSignal | undefined;
}

export interface Run {
  readonly sessionId: string;
  readonly runId: string;
}

export interface CurrentRun {
  readonly runId: string;
  /** First run of the chain. A reset keeps it, a new session under the same id has another. */
  readonly firstRunId: string;
  /** Id of its last history event. */
  readonly length: number;
}

/** Reads histories, decoded by the codecs. An archive of closed runs has its place in here. */
export interface HistorySource {
  /** @throws SessionNotFoundError */
  currentRun(sessionId: string): Promise<CurrentRun>;
  /** @throws RunNotRetainedError, as all that name a run */
  firstEvent(run: Run): Promise<HistoryEvent | undefined>;
  /** All that is recorded, in order. */
  pages(run: Run): AsyncIterable<HistoryEvent[]>;
  /** All that is recorded, and then what comes, until the run closes or `signal` aborts. */
  follow(run: Run, signal: AbortSignal): AsyncIterable<HistoryEvent[]>;
  /** What is recorded after history event `eventId`, in order; read backwards from the newest. */
  newerThan(run: Run, eventId: number): Promise<HistoryEvent[]>;
}

interface Page {
  readonly events: HistoryEvent[];
  readonly token: Uint8Array | undefined;
}

const GRPC_NOT_FOUND = 5;
/**
 * The server counts transactions, of two or three events each: what a model step and a tool call
 * add to a history fits. Four times as many take twice as long.
 */
const REVERSE_PAGE_TRANSACTIONS = 10;

/**
 * @param deps.whole whether reading fails where a codec refuses a payload. Default: no, and it is
 *   projected as undecodable
 */
export function createHistorySource(
  deps: LogDependencies & { readonly whole?: boolean },
): HistorySource {
  const { service, namespace, withAbortSignal, payloadCodecs: codecs = [], whole = false } = deps;
  const joinPoll = createSharedRequests<Page>(withAbortSignal);

  const requestFor = ({ sessionId, runId }: Run, token: Uint8Array | undefined) => ({
    namespace,
    execution: { workflowId: sessionId, runId },
    ...(token === undefined ? {} : { nextPageToken: token }),
  });

  async function receive(run: Run, call: () => Promise<HistoryResponse>): Promise<Page> {
    try {
      const { history, nextPageToken: token } = await call();
      const events = history?.events ?? [];
      await decodeHistory(events, codecs, { namespace, sessionId: run.sessionId, whole });
      return { events, token: token && token.length > 0 ? token : undefined };
    } catch (error) {
      throw isNotFound(error) ? new RunNotRetainedError(run.sessionId, run.runId, error) : error;
    }
  }

  return {
    async currentRun(sessionId) {
      try {
        const { workflowExecutionInfo: info } = await service.describeWorkflowExecution({
          namespace,
          execution: { workflowId: sessionId },
        });
        return {
          runId: info?.execution?.runId ?? '',
          firstRunId: info?.firstRunId ?? '',
          length: toNumber(info?.historyLength),
        };
      } catch (error) {
        throw isNotFound(error) ? new SessionNotFoundError(sessionId, namespace, error) : error;
      }
    },

    async firstEvent(run) {
      const request = { ...requestFor(run, undefined), maximumPageSize: 1 };
      return (await receive(run, () => service.getWorkflowExecutionHistory(request))).events[0];
    },

    pages: (run) =>
      paged((token) =>
        receive(run, () => service.getWorkflowExecutionHistory(requestFor(run, token))),
      ),

    follow: (run, signal) =>
      paged((token) => {
        const request = { ...requestFor(run, token), waitNewEvent: true };
        const call = () => receive(run, () => service.getWorkflowExecutionHistory(request));
        return joinPoll(placeKey(run, token), call, signal);
      }),

    async newerThan(run, eventId) {
      const newest: HistoryEvent[] = [];
      const pages = paged((token) => {
        const request = { ...requestFor(run, token), maximumPageSize: REVERSE_PAGE_TRANSACTIONS };
        return receive(run, () => service.getWorkflowExecutionHistoryReverse(request));
      });
      for await (const page of pages) {
        newest.push(...page.filter((event) => eventIdOf(event) > eventId));
        if (page.some((event) => eventIdOf(event) <= eventId)) break;
      }
      return newest.reverse();
    },
  };
}

/** Readers at the same place have the same token. */
function placeKey({ sessionId, runId }: Run, token: Uint8Array | undefined): string {
  return `${sessionId} ${runId} ${token === undefined ? '' : Buffer.from(token).toString('base64')}`;
}

interface HistoryResponse {
  readonly history?: { readonly events?: HistoryEvent[] | null } | null;
  readonly nextPageToken?: Uint8Array | null;
}

/** Page after page while there is a token; undefined instead of a page ends it. */
async function* paged(
  read: (token: Uint8Array | undefined) => Promise<Page | undefined>,
): AsyncGenerator<HistoryEvent[]> {
  let token: Uint8Array | undefined;
  do {
    const page = await read(token);
    if (page === undefined) return;
    token = page.token;
    yield page.events;
  } while (token !== undefined);
}

/** A missing namespace is also "not found", but no statement about a session. */
function isNotFound(error: unknown): boolean {
  return (
    isGrpcServiceError(error) &&
    error.code === GRPC_NOT_FOUND &&
    !/^namespace/i.test(error.details ?? '')
  );
}
