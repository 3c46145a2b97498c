import type { WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { afterEach, describe, expect, test } from 'vitest';
import { getSession, send } from '../../protocol/messages.ts';
import type { Player } from '../../rehearsal/player.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { type Harness, okHands, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

// Nothing that a sender sends may end a session or make its workflow task fail for ever.

const { EVENT_TYPE_WORKFLOW_TASK_FAILED } = proto.temporal.api.enums.v1.EventType;
const { UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED } =
  proto.temporal.api.enums.v1.UpdateWorkflowExecutionLifecycleStage;

let harness: Harness;
afterEach(() => harness.stop());

const fine: Player = fromConversation(() => says('Fine.'));

async function open(player = fine, hands = okHands()): Promise<void> {
  harness = await startHarness({ player, hands });
}

async function stillAnswers(handle: WorkflowHandle): Promise<void> {
  const before = harness.model.requests.length;
  await handle.executeUpdate(send, { args: ['still there?'] });
  await waitFor('an answer', () => harness.model.requests.length > before, 5_000);
  expect(await failedTasks(handle)).toBe(0);
}

async function failedTasks(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter(({ eventType }) => eventType === EVENT_TYPE_WORKFLOW_TASK_FAILED)
    .length;
}

/** JSON as it stands: some of it no serializer writes. */
function payloads(json: string) {
  return {
    payloads: [{ metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(json) }],
  };
}

function message(blocks: string): string {
  return `{"type":"user.message","content":[${blocks}]}`;
}

function many(text: string, count: number): string {
  return Array.from({ length: count }, () => text).join(',');
}

const LARGE = 'x'.repeat(1_400_000);

const HOSTILE: [string, string][] = [
  ['500,000 blocks that are none', message(many('0', 500_000))],
  ['99 events of 7,000 blocks that are none', `[${many(message(many('0', 7_000)), 99)}]`],
  [
    'an unknown field with a name of 1.9 MB',
    `{"type":"user.interrupt","${'k'.repeat(1_900_000)}":1}`,
  ],
  [
    'a confirmation of a call with an id of 1.4 MB',
    `{"type":"user.tool_confirmation","tool_use_id":"${LARGE}","result":"allow"}`,
  ],
  ['content nested 700,000 deep', message(`${'['.repeat(700_000)}${']'.repeat(700_000)}`)],
];

describe('hostile events', () => {
  test.each(HOSTILE)('update: %s → refused in few words', async (_name, json) => {
    await open();
    const handle = await harness.start();
    await harness.untilIdle(handle);
    const { outcome } = await harness.client.workflowService.updateWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: handle.workflowId },
      waitPolicy: { lifecycleStage: UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED },
      request: { meta: { updateId: 'hostile' }, input: { name: 'send', args: payloads(json) } },
    });
    expect(outcome?.failure?.message).toMatch(/^events\[0\]/);
    expect(outcome?.failure?.message?.length).toBeLessThan(3_000);
    await stillAnswers(handle);
  });

  test.each(HOSTILE)('signal: %s → session.error, the session goes on', async (_name, json) => {
    await open();
    const handle = await harness.start();
    await harness.untilIdle(handle);
    await harness.client.workflowService.signalWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: handle.workflowId },
      signalName: 'send',
      input: payloads(json),
    });
    await stillAnswers(handle);
    const errors = (await harness.log.read(handle.workflowId)).flatMap((event) =>
      event.type === 'session.error' ? [event.error.message] : [],
    );
    expect(errors).toHaveLength(1);
    expect(errors[0]?.length).toBeLessThan(3_000);
  });

  test('denials of 1.4 MB each while a call runs → all in the log', async () => {
    const gate = Promise.withResolvers<void>();
    await open(
      fromConversation((request) =>
        request.messages.length > 1
          ? says('Fine.')
          : says([
              calls('bash', { command: 'a' }),
              calls('write', { file_path: 'b', content: '' }),
              calls('edit', { file_path: 'c', old_string: '', new_string: '' }),
            ]),
      ),
      okHands({
        execute: async ({ call }) => {
          await gate.promise;
          return { events: [{ type: 'agent.tool_result', tool_use_id: call.id, content: [] }] };
        },
      }),
    );
    const permission_policy = { type: 'always_ask' } as const;
    const configs = (['write', 'edit'] as const).map((name) => ({ name, permission_policy }));
    const handle = await harness.start({
      agent: { tools: [{ type: 'agent_toolset_20260401', configs }] },
      initial_events: ['go'],
    });
    const pending = await waitFor('two pending calls', async () => {
      const { pending_actions } = await handle.query(getSession);
      return pending_actions.length === 2 && pending_actions;
    });
    for (const tool_use_id of pending) {
      const denial = { type: 'user.tool_confirmation', tool_use_id, result: 'deny' } as const;
      await handle.executeUpdate(send, { args: [{ ...denial, deny_message: LARGE }] });
    }
    gate.resolve();
    await harness.untilIdle(handle);
    const events = await harness.log.read(handle.workflowId);
    expect(events.filter(({ type }) => type === 'agent.tool_result')).toHaveLength(3);
    await stillAnswers(handle);
  });

  test('a result after an interrupt that still ends a command → refused, one result', async () => {
    const gate = Promise.withResolvers<void>();
    await open(
      fromConversation((request) =>
        request.messages.length > 1
          ? says('Fine.')
          : says([calls('bash', { command: 'a' }), calls('ask', {}, 'toolu_ask')]),
      ),
      okHands({
        execute: async ({ call }) => {
          await gate.promise;
          return { events: [{ type: 'agent.tool_result', tool_use_id: call.id, content: [] }] };
        },
      }),
    );
    const custom = { name: 'ask', description: '', input_schema: { type: 'object' } } as const;
    const handle = await harness.start({
      agent: { tools: [{ type: 'agent_toolset_20260401' }, { type: 'custom', ...custom }] },
      initial_events: ['go'],
    });
    await waitFor('the question', async () => {
      const { pending_actions } = await handle.query(getSession);
      return pending_actions.length > 0;
    });
    await handle.executeUpdate(send, { args: [{ type: 'user.interrupt' }] });
    const result = { type: 'user.custom_tool_result', custom_tool_use_id: 'toolu_ask' } as const;
    await expect(handle.executeUpdate(send, { args: [result] })).rejects.toMatchObject({
      cause: { message: expect.stringContaining('no call toolu_ask is waiting') },
    });
    gate.resolve();
    await harness.untilIdle(handle);
    const events = await harness.log.read(handle.workflowId);
    const results = events.filter(
      (event) => event.type === 'agent.tool_result' && event.tool_use_id === 'toolu_ask',
    );
    expect(results).toHaveLength(1);
    await stillAnswers(handle);
  });

  test.each(['u'.repeat(300), '01a1fd79-c68b-713e-aa34-258c7b3cf275_12'])(
    'update id %s → refused',
    async (updateId) => {
      await open();
      const handle = await harness.start();
      await harness.untilIdle(handle);
      const refused = handle.executeUpdate(send, { args: ['x'], updateId });
      await expect(refused).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/^update id: /) },
      });
      await stillAnswers(handle);
    },
  );
});

describe('hostile starts', () => {
  test.each<[string, unknown, RegExp]>([
    ['a roll-over that was none', { continued: {} }, /^input\.continued: written by a roll-over/],
    ['500,000 tools that are none', { agent: { tools: Array(500_000).fill(0) } }, /^input\.agent/],
    ['500,000 resources', { resources: Array(500_000).fill(0) }, /^input\.resources: holds 500000/],
    [
      '50,000 hands',
      { hands: Object.fromEntries(Array.from({ length: 50_000 }, (_, hand) => [hand, 0])) },
      /^input\.hands: holds 50000 hands; at most 16/,
    ],
    [
      'a task queue of 5,000 characters',
      { environment: { task_queue: `drover-hands-${'x'.repeat(5_000)}` } },
      /^input\.environment\.task_queue/,
    ],
    ['an agent id that is no text', { agent: '\ud83d' }, /^input\.agent\.id/],
    ['an idle time of 300 million years', { environment: { idle_release_seconds: 1e16 } }, /idle_/],
    [
      'a system prompt of 1.4 MB',
      { agent: { system: LARGE } },
      /^input: agent, .*limit of 1000000/,
    ],
  ])('%s → fails once, in few words', async (_name, input, words) => {
    await open();
    const handle = await harness.client.workflow.start('session', {
      workflowId: `hostile-${crypto.randomUUID()}`,
      taskQueue: harness.taskQueue,
      args: [input],
    });
    const failure = await handle.result().catch((error: { cause: Error }) => error.cause.message);
    expect(failure).toMatch(words);
    expect(failure.length).toBeLessThan(3_000);
    expect(await failedTasks(handle)).toBe(0);
  });
});

test('a roll-over that would carry more than one payload → comes after the calls', async () => {
  await open(
    fromConversation((request) => {
      if (request.messages.length > 1) return says('Fine.');
      const content = 'x'.repeat(600_000);
      const write = (file_path: string) => calls('write', { file_path, content });
      return says([write('a'), write('b')], { deltaCharacters: 100_000 });
    }),
  );
  const permission_policy = { type: 'always_ask' } as const;
  const handle = await harness.start({
    agent: {
      system: 'x'.repeat(900_000),
      tools: [{ type: 'agent_toolset_20260401', default_config: { permission_policy } }],
    },
    initial_events: ['go'],
  });
  const pending = await waitFor('two pending calls', async () => {
    const { pending_actions } = await handle.query(getSession);
    return pending_actions.length === 2 && pending_actions;
  });
  const first = await handle.describe();
  await handle.signal('upgrade');
  for (const tool_use_id of pending) {
    const denial = { type: 'user.tool_confirmation', tool_use_id, result: 'deny' } as const;
    await handle.executeUpdate(send, { args: [denial] });
  }
  await waitFor('the roll-over', async () => (await handle.describe()).runId !== first.runId);
  await harness.untilIdle(handle);
  await stillAnswers(handle);
});

test('a workflow type that does not exist → fails once, naming the one that does', async () => {
  await open();
  const handle = await harness.client.workflow.start('sesion', {
    taskQueue: harness.taskQueue,
    workflowId: `sesion-${Date.now()}`,
    args: ['Make hello.txt say hi'],
  });
  const failure = await handle.result().catch((error) => error.cause.message);
  expect(failure).toMatch(/no workflow type "sesion".*--type session/);
  expect(await failedTasks(handle)).toBe(0);
});
