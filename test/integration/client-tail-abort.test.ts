import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { expect, inject, test, vi } from 'vitest';
import { createDrover } from '../../client/connect-drover.ts';

test('an aborted tail ends its long poll: left open, it would be retried on a closed connection', async () => {
  const address = inject('temporalAddress');
  const connection = await Connection.connect({ address });
  const cancellable = vi.spyOn(connection, 'withAbortSignal');
  const { sessions } = createDrover(new Client({ connection }), address);
  const { id } = await sessions.create('hello', { id: `abort-${randomUUID()}` });
  const stop = new AbortController();
  const seen: string[] = [];
  const tail = (async () => {
    for await (const event of sessions.tail(id, { signal: stop.signal })) seen.push(event.type);
  })();
  await vi.waitFor(() => expect(cancellable.mock.calls.length).toBeGreaterThan(1), {
    timeout: 10_000,
  });
  const poll = cancellable.mock.lastCall?.[0];
  expect(poll?.aborted).toBe(false);
  stop.abort();
  await tail;
  expect(poll?.aborted).toBe(true);
  expect(seen).toContain('user.message');
  await connection.close();
});
