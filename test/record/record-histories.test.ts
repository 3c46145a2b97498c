import { readFile } from 'node:fs/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { afterEach, test } from 'vitest';
import type { KeyRingFile } from '../../codec/key-ring-file.ts';
import { agentMessages, registryWorkflowId, send } from '../../protocol/messages.ts';
import type { Player } from '../../rehearsal/player.ts';
import { calls, fromConversation, gate, says, scripted } from '../../rehearsal/script.ts';
import { type Harness, okHands, startHarness } from '../support/harness.ts';
import { keepHistory, untilStopped } from '../support/keep-history.ts';
import { ENCRYPTED_HISTORIES, openKeptKeys } from '../support/kept-keys.ts';
import { waitFor } from '../support/wait-for.ts';

/** Records histories of real runs, for the replay suite: `npm run record-histories`. */
let harness: Harness;
afterEach(() => harness.stop());

function keep(name: string, handle: WorkflowHandle, folder?: string): Promise<void> {
  return keepHistory(name, { harness, handle, ...(folder === undefined ? {} : { folder }) });
}

const ASKING = {
  tools: [
    {
      type: 'agent_toolset_20260401' as const,
      default_config: { permission_policy: { type: 'always_ask' as const } },
    },
    {
      type: 'custom' as const,
      name: 'weather',
      description: 'The weather',
      input_schema: { type: 'object' as const },
    },
  ],
};

test('tools, a lost hand, an error, and cancel', async () => {
  let isFirst = true;
  harness = await startHarness({
    player: scripted([
      says([calls('bash', { command: 'a' }), calls('bash', { command: 'b' })]),
      says([calls('bash', { command: 'c' })]),
      says('Done.'),
      {
        type: 'error',
        status: 400,
        body: { type: 'error', error: { type: 'invalid_request_error', message: 'no' } },
      },
    ]),
    hands: okHands({
      execute: async ({ call }) => {
        const lost = isFirst;
        isFirst = false;
        return {
          events: [
            {
              type: 'agent.tool_result',
              tool_use_id: call.id,
              content: [{ type: 'text', text: lost ? 'the sandbox was lost' : 'ok' }],
              is_error: lost,
            },
          ],
          ...(lost ? { lost: true as const } : {}),
        };
      },
    }),
  });
  const handle = await harness.start({ initial_events: ['go'], title: 'recorded' });
  await untilStopped(handle, 'end_turn');
  await handle.executeUpdate(send, { args: ['again'], updateId: 'again' });
  await untilStopped(handle, 'retries_exhausted');
  await handle.cancel();
  await handle.result().catch(() => {});
  await keep('tools', handle);
});

test('confirmations, custom tools, signals and interrupts', async () => {
  const held = gate(5);
  harness = await startHarness({
    player: scripted([
      says([
        calls('bash', { command: 'a' }, 'toolu_a'),
        calls('bash', { command: 'b' }, 'toolu_b'),
        calls('weather', {}, 'toolu_w'),
      ]),
      says('A long answer that is interrupted in the middle of it.', {
        pace: held.pace,
        deltaCharacters: 8,
      }),
      says([calls('bash', { command: 'c' }, 'toolu_c')]),
    ]),
  });
  const handle = await harness.start({ initial_events: ['go'], agent: ASKING });
  await untilStopped(handle, 'requires_action');
  await handle.executeUpdate(send, {
    args: [
      [
        { type: 'user.tool_confirmation', tool_use_id: 'toolu_a', result: 'allow' },
        { type: 'user.tool_confirmation', tool_use_id: 'toolu_b', result: 'deny' },
      ],
    ],
    updateId: 'confirm',
  });
  await handle.signal('send', {
    type: 'user.custom_tool_result',
    custom_tool_use_id: 'toolu_w',
    content: 'rain',
  });
  await held.reached;
  await handle.executeUpdate(send, { args: [{ type: 'user.interrupt' }], updateId: 'stop' });
  await untilStopped(handle, 'end_turn');
  await handle.signal('send', { type: 'nonsense' });
  await handle.executeUpdate(send, { args: ['once more'], updateId: 'more' });
  await untilStopped(handle, 'requires_action');
  await handle.executeUpdate(send, { args: [{ type: 'user.interrupt' }], updateId: 'stop-2' });
  await untilStopped(handle, 'end_turn');
  await keep('actions', handle);
});

test('roll-overs in the middle of a turn', async () => {
  const player: Player = fromConversation((request) => {
    const step = request.messages.filter(({ role }) => role === 'assistant').length;
    return step >= 20 ? says('All done.') : says([calls('bash', { command: `step ${step}` })]);
  });
  harness = await startHarness({ player });
  const handle = await harness.start({ initial_events: ['go'] });
  await untilStopped(handle, 'end_turn');
  await keep('roll-over', handle);
});

test('encrypted: an error, a rotation, a refused signal, a roll-over and cancel', async () => {
  const ring = await openKeptKeys();
  const [older] = [...(await readFile(ring.path, 'utf8')).matchAll(/"id": "(pk-[^"]+)"/g)];
  const current = await ring.current();
  const first = current.find(older?.[1] ?? '');
  let rotated = false;
  const keys: KeyRingFile = {
    ...ring,
    current: async () =>
      rotated || first === undefined ? current : { ...current, encryptsAt: () => first },
  };
  const error = { type: 'invalid_request_error', message: 'the planted word' };
  const body = { type: 'error', error };
  harness = await startHarness({
    keys,
    player: scripted([
      says([calls('bash', { command: 'echo the planted word' })]),
      says('Done.'),
      { type: 'error', status: 400, body },
      says('Done again.'),
    ]),
  });
  const handle = await harness.start({ initial_events: ['go'], title: 'recorded' });
  await untilStopped(handle, 'end_turn');
  rotated = true;
  await handle.executeUpdate(send, { args: ['the planted word'], updateId: 'again' });
  await untilStopped(handle, 'retries_exhausted');
  await handle.signal('send', { type: 'nonsense' });
  await handle.signal('upgrade');
  await waitFor('another run', async () => {
    return (await handle.describe()).runId !== handle.firstExecutionRunId;
  });
  await handle.executeUpdate(send, { args: ['once more'], updateId: 'more' });
  await untilStopped(handle, 'end_turn');
  await handle.cancel();
  await handle.result().catch(() => {});
  await keep('session', handle, ENCRYPTED_HISTORIES);
});

test('a registered agent', async () => {
  harness = await startHarness({ player: scripted([says('Hi.')]) });
  const entity = await harness.client.workflow.start('agent', {
    workflowId: registryWorkflowId('agent', crypto.randomUUID()),
    taskQueue: harness.taskQueue,
    args: [{ name: 'one' }],
  });
  await entity.executeUpdate(agentMessages.update, { args: [{ name: 'two' }], updateId: 'two' });
  const id = entity.workflowId.replace('agent-', '');
  const handle = await harness.start({ agent: id as never, initial_events: ['hi'] });
  await untilStopped(handle, 'end_turn');
  await entity.executeUpdate(agentMessages.archive, { updateId: 'archive' });
  await keep('registry-agent', entity);
  await keep('registered-session', handle);
});

test('several hands: one near its end, one lost, one of another session', async () => {
  const released: string[] = [];
  harness = await startHarness({
    player: scripted([
      says([
        calls('bash', { command: 'a' }),
        calls('bash', { command: 'b', hand: 'gpu' }),
        calls('bash', { command: 'c', hand: 'shared' }),
      ]),
      says('Done.'),
      says([
        calls('bash', { command: 'd' }),
        calls('bash', { command: 'e', hand: 'gpu' }),
        calls('bash', { command: 'f', hand: 'shared' }),
      ]),
      says('Done again.'),
    ]),
    hands: okHands({
      provision: async ({ hand }) => ({
        hand: { ...hand, provider: 'fake', instance: `${hand.name}-${hand.generation}` },
        ...(hand.name === 'main' && hand.generation === 1
          ? { expires_at: new Date(Date.now() + 2_000).toISOString() }
          : {}),
      }),
      execute: async ({ hand, call }) => ({
        events: [{ type: 'agent.tool_result', tool_use_id: call.id, content: [] }],
        ...(hand.name === 'main' ? {} : { lost: true as const }),
      }),
      release: async ({ hand }) => {
        released.push(hand.name);
        return undefined;
      },
    }),
  });
  const { handsQueue: task_queue } = harness;
  const passed = { session_id: 'owner', chain_id: 'chain', name: 'box', generation: 1 };
  const handle = await harness.start({
    initial_events: ['go'],
    resources: [{ type: 'file', file_id: 'file_1' }],
    hands: {
      gpu: { task_queue },
      shared: { type: 'hand', ...passed, provider: 'fake', instance: 'box-1', task_queue },
    },
  });
  await untilStopped(handle, 'end_turn');
  await waitFor('the release of main', () => released.includes('main'));
  await handle.signal('upgrade');
  await waitFor('another run', async () => {
    return (await handle.describe()).runId !== handle.firstExecutionRunId;
  });
  await handle.executeUpdate(send, { args: ['again'], updateId: 'again' });
  await waitFor('the second turn', () => harness.model.requests.length === 4);
  await untilStopped(handle, 'end_turn');
  await handle.cancel();
  await handle.result().catch(() => {});
  await keep('several-hands', handle);
});
