import type { WorkflowHandle } from '@temporalio/client';
import { WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import { decodeOptionalFailureToOptionalError } from '@temporalio/common/lib/internal-non-workflow/index.js';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { getSession, send } from '../../protocol/messages.ts';
import { fromConversation, says } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

describe('bad input', () => {
  let harness: Harness;

  beforeAll(async () => {
    harness = await startHarness({ player: fromConversation(() => says('Fine.')) });
  });
  afterAll(() => harness.stop());

  async function idleSession(): Promise<WorkflowHandle> {
    const handle = await harness.start();
    await harness.untilIdle(handle);
    return handle;
  }

  async function failedTasks(handle: WorkflowHandle): Promise<number> {
    const { events } = await handle.fetchHistory();
    const failed = proto.temporal.api.enums.v1.EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED;
    return events?.filter(({ eventType }) => eventType === failed).length ?? 0;
  }

  async function stillAnswers(handle: WorkflowHandle): Promise<void> {
    const before = harness.model.requests.length;
    await handle.executeUpdate(send, { args: ['still there?'] });
    await waitFor('an answer', () => harness.model.requests.length > before);
    expect(await failedTasks(handle)).toBe(0);
  }

  test.each<[string, unknown, RegExp]>([
    ['an unknown type', { type: 'user.mesage', content: 'x' }, /events\[0\]\.type.*user\.message/],
    ['a missing field', { type: 'user.tool_confirmation', result: 'allow' }, /tool_use_id/],
    ['empty content', { type: 'user.message', content: [] }, /content.*at least one/],
    ['an empty string', '', /content/],
    ['an empty list', [], /at least one event/],
    ['1.8 MB', 'x'.repeat(1_800_000), /events\[0\] \(user\.message\): 1800\d+ bytes.*1500000/],
    ['an extra field', { type: 'user.interrupt', now: true }, /now/],
    ['a number', 7, /events\[0\]/],
    [
      'a confirmation nobody waits for',
      { type: 'user.tool_confirmation', tool_use_id: 'toolu_x', result: 'allow' },
      /toolu_x.*No call waits/,
    ],
    [
      'a result nobody waits for',
      { type: 'user.custom_tool_result', custom_tool_use_id: 'toolu_y', content: 'x' },
      /toolu_y/,
    ],
  ])('send: %s → refused in words, leaves no history', async (_name, input, message) => {
    const handle = await idleSession();
    const before = (await handle.describe()).historyLength;
    const error = await handle
      .executeUpdate('send', { args: [input] })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WorkflowUpdateFailedError);
    expect(error instanceof WorkflowUpdateFailedError && error.cause?.message).toMatch(message);
    expect((await handle.describe()).historyLength).toBe(before);
    await stillAnswers(handle);
  });

  test.each<[string, unknown]>([
    ['an unknown type', { type: 'user.mesage' }],
    [
      'a confirmation nobody waits for',
      { type: 'user.tool_confirmation', tool_use_id: 'toolu_x', result: 'allow' },
    ],
  ])('signal: %s → session.error in the log, the session goes on', async (_name, input) => {
    const handle = await idleSession();
    await handle.signal('send', input);
    await waitFor('the error', async () => {
      const events = await harness.log.read(handle.workflowId);
      return events.some(
        (event) => event.type === 'session.error' && event.error.type === 'invalid_event_error',
      );
    });
    await stillAnswers(handle);
  });

  test('update: over the payload limit → fails for its sender, the session goes on', async () => {
    const handle = await idleSession();
    await expect(handle.executeUpdate('send', { args: ['x'.repeat(3_000_000)] })).rejects.toThrow();
    await stillAnswers(handle);
  });

  test('signal: over the payload limit → refused by the server, the session goes on', async () => {
    const handle = await idleSession();
    await expect(handle.signal('send', 'x'.repeat(3_000_000))).rejects.toThrow();
    await stillAnswers(handle);
  });

  test('signal: bytes that are no JSON → session.error in the log, the session goes on', async () => {
    const handle = await idleSession();
    const { workflowService } = harness.client;
    await workflowService.signalWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: handle.workflowId },
      signalName: 'send',
      input: {
        payloads: [
          { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('{"type":') },
        ],
      },
    });
    await waitFor('the error', async () =>
      (await harness.log.read(handle.workflowId)).some(({ type }) => type === 'session.error'),
    );
    await stillAnswers(handle);
  });

  test('update: an encoding nobody knows → refused in words, the session goes on', async () => {
    const handle = await idleSession();
    const before = (await handle.describe()).historyLength;
    const answer = await harness.client.workflowService.updateWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: handle.workflowId },
      waitPolicy: {
        lifecycleStage:
          proto.temporal.api.enums.v1.UpdateWorkflowExecutionLifecycleStage
            .UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED,
      },
      request: {
        meta: { updateId: 'undecodable' },
        input: {
          name: 'send',
          args: {
            payloads: [{ metadata: { encoding: Buffer.from('x/y') }, data: Buffer.from('z') }],
          },
        },
      },
    });
    const refusal = await decodeOptionalFailureToOptionalError(
      harness.client.options.loadedDataConverter,
      answer.outcome?.failure,
    );
    expect(refusal?.message).toBe('events: undecodable: Unknown encoding: x/y');
    expect((await handle.describe()).historyLength).toBe(before);
    await stillAnswers(handle);
  });

  test.each<[string, unknown, RegExp]>([
    ['an unknown field', { agnet: 'x' }, /agnet/],
    ['a wrong tool', { agent: { tools: [{ type: 'bash' }] } }, /agent\.tools.*type/],
    ['a number', 7, /input/],
    ['a wrong event', { initial_events: [{ type: 'nope' }] }, /initial_events/],
    ['a foreign hands queue', { environment: { task_queue: 'payments' } }, /drover-hands/],
  ])('start: %s → the workflow fails in words, once', async (_name, input, message) => {
    const handle = await harness.client.workflow.start('session', {
      workflowId: `bad-${crypto.randomUUID()}`,
      taskQueue: harness.taskQueue,
      args: [input],
    });
    const error = await handle.result().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WorkflowFailedError);
    expect(error instanceof WorkflowFailedError && error.cause?.message).toMatch(message);
    expect(await failedTasks(handle)).toBe(0);
  });

  test('start: an agent that is not registered → fails naming it', async () => {
    const handle = await harness.start({ agent: 'nobody' as never });
    const error = await handle.result().catch((reason: unknown) => reason);
    const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
    expect(String(cause?.cause ?? cause)).toMatch(/nobody/);
  });

  test('send: the same id twice → one event, the same answer', async () => {
    const handle = await idleSession();
    const first = await handle.executeUpdate(send, { args: ['once'], updateId: 'same' });
    const second = await handle.executeUpdate(send, { args: ['once'], updateId: 'same' });
    expect(second).toEqual(first);
    const events = await harness.log.read(handle.workflowId);
    expect(events.filter(({ id }) => id === 'sevt_same_0')).toHaveLength(1);
  });

  test('an unknown query → refused, the session goes on', async () => {
    const handle = await idleSession();
    await expect(handle.query('nope')).rejects.toThrow();
    expect((await handle.query(getSession)).status).toBe('idle');
    await stillAnswers(handle);
  });
});
