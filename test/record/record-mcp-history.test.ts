import { NativeConnection, Worker } from '@temporalio/worker';
import { inject, test } from 'vitest';
import type { HandActivities } from '../../protocol/hand.ts';
import { send } from '../../protocol/messages.ts';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { okHands } from '../support/harness.ts';
import { keepHistory, untilStopped } from '../support/keep-history.ts';
import { mcpAgent } from '../support/mcp-agent.ts';
import { startMcpHarness } from '../support/mcp-harness.ts';
import { startMcpServer } from '../support/mcp-server.ts';
import { waitFor } from '../support/wait-for.ts';

// Beside `record-histories.test.ts`: a session with MCP servers, one of which is away, and with a
// tool that somebody's own worker serves.

const AWAY = 'http://127.0.0.1:9/mcp';
const PUSHED_QUEUE = 'drover-tools-recorded';
const WEATHER = {
  type: 'custom' as const,
  name: 'weather',
  description: 'The weather',
  input_schema: { type: 'object' as const },
  task_queue: PUSHED_QUEUE,
};

/** A hand that says what came with the file. */
const writeFile: HandActivities['execute'] = async ({ attachment }) => {
  if (attachment === undefined) throw new Error('only files are written here');
  return { events: [attachment.result] };
};

test('MCP tools, allowed and asked for, a large result, a roll-over, a pushed tool', async () => {
  const server = await startMcpServer({
    call: ({ params }) => (Object(params['arguments']).large ? 'x'.repeat(150_000) : 'small'),
  });
  const harness = await startMcpHarness({
    player: scripted([
      says([
        calls('mcp__srv__echo', { message: 'a' }, 'toolu_a'),
        calls('mcp__srv__echo', { large: true }, 'toolu_b'),
        calls('weather', { city: 'Oslo' }, 'toolu_c'),
      ]),
      says('Done.'),
      says([calls('mcp__srv__echo', { message: 'd' }, 'toolu_d')]),
      says('Done again.'),
    ]),
    hands: () => okHands({ execute: writeFile }),
  });
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  const execute = async () => 'rain';
  const worker = await Worker.create({
    connection,
    taskQueue: PUSHED_QUEUE,
    activities: { execute },
  });
  const running = worker.run();
  const toolset = { type: 'agent_toolset_20260401' };
  const agent = mcpAgent(server.url, { policy: 'always_ask', tools: [toolset, WEATHER] });
  const away = { type: 'url' as const, name: 'away', url: AWAY };
  await harness.keeper.createVault({ id: 'team' });
  const handle = await harness.start({
    initial_events: ['go'],
    vault_ids: ['team'],
    agent: {
      ...agent,
      mcp_servers: [...agent.mcp_servers, away],
      tools: [...agent.tools, { type: 'mcp_toolset', mcp_server_name: 'away' }],
    },
  });
  await untilStopped(handle, 'requires_action');
  const allow = { type: 'user.tool_confirmation', result: 'allow' } as const;
  const both = [
    { ...allow, tool_use_id: 'toolu_a' },
    { ...allow, tool_use_id: 'toolu_b' },
  ];
  await handle.executeUpdate(send, { args: [both], updateId: 'allow' });
  await untilStopped(handle, 'end_turn');
  await handle.signal('upgrade');
  await waitFor('another run', async () => {
    return (await handle.describe()).runId !== handle.firstExecutionRunId;
  });
  await handle.executeUpdate(send, { args: ['again'], updateId: 'again' });
  await untilStopped(handle, 'requires_action');
  const deny = { ...allow, result: 'deny' as const, tool_use_id: 'toolu_d' };
  await handle.executeUpdate(send, { args: [deny], updateId: 'deny' });
  await untilStopped(handle, 'end_turn');
  await handle.cancel();
  await handle.result().catch(() => {});
  await keepHistory('mcp-tools', { harness, handle });
  worker.shutdown();
  await running;
  await connection.close();
  await harness.stop();
  await server.stop();
});
