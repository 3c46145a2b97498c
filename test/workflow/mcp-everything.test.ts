import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { type EverythingServer, startEverythingServer } from '../support/everything-server.ts';
import { mcpAgent } from '../support/mcp-agent.ts';
import { type McpHarness, startMcpHarness } from '../support/mcp-harness.ts';
import { waitFor } from '../support/wait-for.ts';

// Sessions with the reference server of the protocol, a process of its own.

let everything: EverythingServer;
let harness: McpHarness;
beforeAll(async () => {
  everything = await startEverythingServer('streamableHttp');
});
afterEach(() => harness.stop());
afterAll(() => everything.stop());

const USES = ['agent.mcp_tool_use', 'agent.mcp_tool_result'];

test('the model is offered the tools, calls one, and gets its result', async () => {
  harness = await startMcpHarness({
    player: scripted([
      says([
        calls('mcp__srv__echo', { message: 'hello' }, 'toolu_echo'),
        calls('mcp__srv__get-sum', { a: 2, b: 3 }, 'toolu_sum'),
      ]),
      says('Done.'),
    ]),
  });
  const handle = await harness.start({ agent: mcpAgent(everything.url), initial_events: ['go'] });
  await harness.untilIdle(handle);
  const [first, second] = harness.model.requests;
  const names = first?.body.tools?.map((tool) => 'name' in tool && tool.name);
  expect(names).toContain('mcp__srv__echo');
  expect(names).toContain('mcp__srv__get-sum');
  const events = await harness.eventsOf(handle.workflowId);
  const used = events.filter(({ type }) => USES.includes(type));
  expect(used).toMatchObject([
    { type: 'agent.mcp_tool_use', name: 'echo', mcp_server_name: 'srv' },
    { type: 'agent.mcp_tool_use', name: 'get-sum', evaluated_permission: 'allow' },
    { type: 'agent.mcp_tool_result' },
    { type: 'agent.mcp_tool_result' },
  ]);
  expect(second?.body.messages.slice(1)).toMatchObject([
    {
      role: 'assistant',
      content: [
        { type: 'tool_use', id: 'toolu_echo', name: 'mcp__srv__echo' },
        { type: 'tool_use', id: 'toolu_sum', name: 'mcp__srv__get-sum' },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', content: [{ type: 'text', text: 'Echo: hello' }] },
        { type: 'tool_result', content: [{ type: 'text', text: expect.stringContaining('5') }] },
      ],
    },
  ]);
});

test('always_ask → the call waits for a word, and a denied one never reaches the server', async () => {
  harness = await startMcpHarness({
    player: scripted([
      says([
        calls('mcp__srv__echo', { message: 'yes' }, 'toolu_yes'),
        calls('mcp__srv__echo', { message: 'no' }, 'toolu_no'),
      ]),
      says('Done.'),
    ]),
  });
  const agent = mcpAgent(everything.url, { policy: 'always_ask' });
  const handle = await harness.start({ agent, initial_events: ['go'] });
  const waiting = await harness.untilIdle(handle);
  expect(waiting.stop_reason).toEqual({
    type: 'requires_action',
    event_ids: ['toolu_yes', 'toolu_no'],
  });
  expect((await harness.log.session(handle.workflowId)).pending_actions).toEqual([
    'toolu_yes',
    'toolu_no',
  ]);
  await handle.signal('send', [
    { type: 'user.tool_confirmation', tool_use_id: 'toolu_yes', result: 'allow' },
    { type: 'user.tool_confirmation', tool_use_id: 'toolu_no', result: 'deny' },
  ]);
  await waitFor('the second answer', () => harness.model.requests.length === 2);
  await waitFor('the end of the turn', async () => {
    const { stop_reason } = await harness.log.session(handle.workflowId);
    return stop_reason?.type === 'end_turn';
  });
  const results = (await harness.eventsOf(handle.workflowId)).filter(
    ({ type }) => type === 'agent.mcp_tool_result',
  );
  expect(results).toMatchObject([
    {
      mcp_tool_use_id: 'toolu_no',
      is_error: true,
      content: [{ text: expect.stringContaining('Denied') }],
    },
    { mcp_tool_use_id: 'toolu_yes', content: [{ text: 'Echo: yes' }] },
  ]);
});

test('progress of a long call is in its heartbeats, and an interrupt ends it', async () => {
  harness = await startMcpHarness({
    player: scripted([
      says([
        calls(
          'mcp__srv__trigger-long-running-operation',
          { duration: 60, steps: 120 },
          'toolu_long',
        ),
      ]),
    ]),
  });
  const handle = await harness.start({ agent: mcpAgent(everything.url), initial_events: ['go'] });
  await waitFor('progress', async () => {
    const { raw } = await handle.describe();
    const details = raw.pendingActivities?.[0]?.heartbeatDetails?.payloads?.[0]?.data;
    return details != null && /\d of 120/.test(Buffer.from(details).toString());
  });
  await handle.signal('send', { type: 'user.interrupt' });
  await harness.untilIdle(handle);
  const results = (await harness.eventsOf(handle.workflowId)).filter(
    ({ type }) => type === 'agent.mcp_tool_result',
  );
  expect(results).toMatchObject([
    {
      mcp_tool_use_id: 'toolu_long',
      is_error: true,
      content: [{ text: expect.stringContaining('whether the call took effect is not known') }],
    },
  ]);
});

test('an image is shown to the model', async () => {
  harness = await startMcpHarness({
    player: scripted([says([calls('mcp__srv__get-tiny-image', {})]), says('Nice.')]),
  });
  const handle = await harness.start({ agent: mcpAgent(everything.url), initial_events: ['go'] });
  await harness.untilIdle(handle);
  const result = JSON.stringify(harness.model.requests[1]?.body.messages.at(-1));
  expect(result).toContain('"media_type":"image/png"');
});

test('a server of the older transport alone', async () => {
  const older = await startEverythingServer('sse');
  try {
    harness = await startMcpHarness({
      player: scripted([says([calls('mcp__srv__echo', { message: 'old' })]), says('Done.')]),
    });
    const handle = await harness.start({ agent: mcpAgent(older.url), initial_events: ['go'] });
    await harness.untilIdle(handle);
    expect(JSON.stringify(harness.model.requests[1]?.body.messages.at(-1))).toContain('Echo: old');
  } finally {
    await older.stop();
  }
});
