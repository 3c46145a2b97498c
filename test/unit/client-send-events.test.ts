import {
  type Client,
  ServiceError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { expect, test } from 'vitest';
import { createRequests } from '../../client/requests.ts';
import { sendEvents } from '../../client/send-events.ts';
import type { SliceOptions } from '../../client/sessions.ts';
import type { LogReader } from '../../log/log-reader.ts';

const ANSWER = { event_ids: ['sevt_x_0'] };

/** A server on which an update fails as these say, and then succeeds. */
function serverThatFails(failures: readonly unknown[]) {
  const ids: string[] = [];
  const left = [...failures];
  const client = {
    options: { namespace: 'default' },
    connection: { withDeadline: (_deadline: number, request: () => unknown) => request() },
    workflow: {
      getHandle: () => ({
        executeUpdate: async (_send: unknown, { updateId }: { updateId: string }) => {
          ids.push(updateId);
          if (left.length > 0) throw left.shift();
          return ANSWER;
        },
      }),
    },
  };
  const requests = createRequests(client as unknown as Client, 'nowhere', 'drover');
  return { ids, requests, deps: { requests, log: {} as LogReader } };
}

function failure(code: number, details: string): ServiceError {
  const cause = Object.assign(new Error(details), { code, details, metadata: {} });
  return new ServiceError('Workflow Update failed', { cause });
}

test('a workflow task that failed under the update → sent again with the same id', async () => {
  const { ids, deps } = serverThatFails([
    failure(9, 'Unable to perform workflow execution update due to Workflow Task in failed state.'),
    failure(
      9,
      'Unable to perform workflow execution update due to unexpected workflow task failure.',
    ),
  ]);
  expect(await sendEvents(deps, 'session', 'hello', { id: 'x' })).toEqual(ANSWER);
  expect(ids).toEqual(['x', 'x', 'x']);
});

test('another refusal → not sent again', async () => {
  const { ids, deps } = serverThatFails([failure(9, 'something else')]);
  await expect(sendEvents(deps, 'session', 'hello', { id: 'x' })).rejects.toThrow(/something else/);
  expect(ids).toEqual(['x']);
});

test('unanswered, but recorded long ago → found in the log, however long it is', async () => {
  const { requests } = serverThatFails([new WorkflowUpdateRPCTimeoutOrCancelledError('too late')]);
  const ids = Array.from({ length: 1_000 }, (_, index) => `sevt_${index}_0`);
  const log = {
    read: async (_session: string, { before, limit = 0 }: SliceOptions = {}) => {
      const end = before === undefined ? ids.length : Number(before);
      const slice = ids.slice(Math.max(end - limit, 0), end);
      return slice
        .map((id, index) => ({ id, position: String(end - slice.length + index) }))
        .reverse();
    },
  } as unknown as LogReader;
  expect(await sendEvents({ requests, log }, 'session', 'hello', { id: '3' })).toEqual({
    event_ids: ['sevt_3_0'],
  });
});
