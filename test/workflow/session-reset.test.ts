import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { afterEach, expect, test } from 'vitest';
import { EventType } from '../../log/history-event.ts';
import { getSession, send } from '../../protocol/messages.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

const ASKING = {
  tools: [
    {
      type: 'agent_toolset_20260401' as const,
      default_config: { permission_policy: { type: 'always_ask' as const } },
    },
  ],
};

const CONFIRMATION = {
  type: 'user.tool_confirmation',
  tool_use_id: 'toolu_a',
  result: 'allow',
} as const;

let harness: Harness;
afterEach(() => harness.stop());

/** Goes back to the first workflow task that ended after the first event of this type. */
async function resetAfter(handle: WorkflowHandle, type: number): Promise<void> {
  const { events } = await handle.fetchHistory();
  const all = events ?? [];
  const task = all
    .slice(all.findIndex(({ eventType }) => eventType === type))
    .find(({ eventType }) => eventType === EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED);
  const { runId } = await handle.describe();
  await harness.client.workflowService.resetWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId: handle.workflowId, runId },
    workflowTaskFinishEventId: task?.eventId ?? null,
    requestId: randomUUID(),
    reason: 'a test',
  });
}

test.each([
  ['as the question came', EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED],
  ['before the question', EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED],
])('a confirmation that a reset to %s puts back → log and workflow agree', async (_name, type) => {
  harness = await startHarness({
    player: fromConversation((request) =>
      JSON.stringify(request.messages).includes('tool_result')
        ? says('Done.')
        : says([calls('bash', { command: 'a' }, 'toolu_a')]),
    ),
  });
  const handle = await harness.start({ initial_events: ['go'], agent: ASKING });
  await waitFor('the question', async () => {
    const { stop_reason } = await handle.query(getSession);
    return stop_reason?.type === 'requires_action';
  });
  await handle.executeUpdate(send, {
    args: [CONFIRMATION],
    updateId: 'confirm',
  });
  await waitFor('the end', async () => {
    const { stop_reason } = await handle.query(getSession);
    return stop_reason?.type === 'end_turn';
  });
  await resetAfter(handle, type);
  const now = harness.client.workflow.getHandle(handle.workflowId);
  await waitFor('it to stand still', async () => {
    const { stop_reason } = await now.query(getSession);
    return stop_reason !== null;
  });
  expect(await harness.log.session(handle.workflowId)).toEqual(await now.query(getSession));
  // Put back before its call waited, it was refused. Under its id the server takes no other.
  expect((await now.query(getSession)).pending_actions).toEqual(['toolu_a']);
  await now.executeUpdate(send, { args: [CONFIRMATION] });
  await waitFor('the end', async () => {
    const { stop_reason } = await now.query(getSession);
    return stop_reason?.type === 'end_turn';
  });
  expect(await harness.log.session(handle.workflowId)).toEqual(await now.query(getSession));
});
