import { Context } from '@temporalio/activity';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import {
  CursorAbandonedError,
  CursorMalformedError,
  createLogReader,
  createStepReader,
  type LogReader,
  SessionNotFoundError,
} from '../../log/index.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import { createLogWorld, type LogWorld } from '../support/log-worker.ts';
import { waitFor } from '../support/wait-for.ts';

let world: LogWorld;
let reader: LogReader;

beforeAll(async () => {
  world = await createLogWorld(inject('temporalAddress'));
  reader = createLogReader(world.deps);
});
afterAll(() => world.close());

const typesOf = (events: readonly SessionEvent[]) => events.map((event) => event.type);

async function idle(sessionId: string, messages: number): Promise<SessionEvent[]> {
  return waitFor(`${messages} answered messages`, async () => {
    const events = await reader.read(sessionId);
    const said = events.filter((event) => event.type === 'user.message');
    const isDone =
      events.at(-1)?.type === 'session.status_idle' && said.every((event) => event.processed_at);
    return isDone && said.length === messages ? events : undefined;
  });
}

describe('one session', () => {
  test('a tool turn reads as the log that was meant', async () => {
    const { workflowId } = await world.start('bash echo hi');
    const events = await idle(workflowId, 1);
    expect(typesOf(events)).toEqual([
      'user.message',
      'session.status_running',
      'span.model_request_start',
      'agent.tool_use',
      'span.model_request_end',
      'agent.tool_result',
      'span.model_request_start',
      'agent.message',
      'span.model_request_end',
      'session.status_idle',
    ]);
  });
});
