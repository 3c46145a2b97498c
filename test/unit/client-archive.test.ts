import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import { expect, test } from 'vitest';
import { createRequests } from '../../client/requests.ts';
import { createSessions } from '../../client/sessions.ts';
import type { LogReader } from '../../log/log-reader.ts';

/** A server that refuses to cancel, in the words of its time. */
function archiveRefused(words: string): Promise<void> {
  const client = {
    options: { namespace: 'default' },
    connection: { withDeadline: (_deadline: number, request: () => Promise<unknown>) => request() },
    workflow: {
      getHandle: () => ({
        cancel: () => Promise.reject(new WorkflowNotFoundError(words, 's1', undefined)),
      }),
    },
  };
  const requests = createRequests(client as unknown as Client, 'host:1', 'queue');
  return createSessions(requests, {} as LogReader).archive('s1');
}

test('a server that refuses to cancel what has ended → success', async () => {
  await expect(archiveRefused('workflow execution already completed')).resolves.toBeUndefined();
});

test('a session that never was → an error', async () => {
  await expect(archiveRefused('workflow not found')).rejects.toMatchObject({ code: 'not_found' });
});
