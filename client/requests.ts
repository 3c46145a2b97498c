import type { Client } from '@temporalio/client';
import { describeUndecodable, isUndecodable } from '../protocol/undecodable.ts';
import { RequestFailedError } from './errors/request-failed-error.ts';
import type { Subject } from './subject.ts';
import { toDroverError } from './to-drover-error.ts';

export const REQUEST_TIMEOUT_MS = 10_000;

/** One Temporal client with the deadline and the errors that every request of ours has. */
export interface Requests {
  readonly client: Client;
  readonly address: string;
  readonly namespace: string;
  /** Queue of the workflows that this client starts. */
  readonly taskQueue: string;
  /** Runs one request; `subject` is what an error names. */
  run<Result>(subject: Subject | undefined, request: () => Promise<Result>): Promise<Result>;
  /** The error a caller of ours sees for one that Temporal threw. */
  toError(error: unknown, subject: Subject | undefined): unknown;
}

export function createRequests(client: Client, address: string, taskQueue: string): Requests {
  const { namespace } = client.options;
  const toError = (error: unknown, subject: Subject | undefined) =>
    toDroverError(error, { address, namespace, subject });
  return {
    client,
    address,
    namespace,
    taskQueue,
    toError,
    async run(subject, request) {
      try {
        const deadline = Date.now() + REQUEST_TIMEOUT_MS;
        const result = await client.connection.withDeadline(deadline, request);
        if (!isUndecodable(result)) return result;
        throw new RequestFailedError(describeUndecodable(result, 'the answer'));
      } catch (error) {
        throw toError(error, subject);
      }
    },
  };
}
