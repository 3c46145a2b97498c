import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, inject, test } from 'vitest';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { mcpAgent } from '../support/mcp-agent.ts';
import { type McpHarness, startMcpHarness } from '../support/mcp-harness.ts';
import { type OwnMcpServer, startMcpServer } from '../support/mcp-server.ts';
import { waitFor } from '../support/wait-for.ts';

const CHILD = fileURLToPath(new URL('../support/vault-worker-child.ts', import.meta.url));

let harness: McpHarness;
let server: OwnMcpServer;
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  await harness.stop();
  await server.stop();
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function startWorker(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CHILD], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const order = {
    address: inject('temporalAddress'),
    sessionQueue: harness.taskQueue,
    variables: { DROVER_VAULT_PRIVATE_NETWORKS: '127.0.0.0/8' },
    folder: '/nowhere',
    store: harness.store.url,
  };
  child.stdin?.end(JSON.stringify(order));
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', () => reject(new Error('the vault worker ended')));
  });
  return child;
}

test('a worker killed while a call is out → never called again, and the model is told', async () => {
  let called = 0;
  server = await startMcpServer({
    call: () => {
      called += 1;
      return new Promise(() => {});
    },
  });
  harness = await startMcpHarness({
    player: scripted([says([calls('mcp__srv__echo', {}, 'toolu_1')]), says('Done.')]),
    hasVaultWorker: false,
  });
  const first = await startWorker();
  const handle = await harness.start({ agent: mcpAgent(server.url), initial_events: ['go'] });
  await waitFor('the call', () => called === 1);
  await kill(first);
  await startWorker();
  await waitFor('the answer', () => harness.model.requests.length === 2, 40_000);
  expect(called).toBe(1);
  expect(await resultsOf(handle.workflowId)).toMatchObject([
    {
      mcp_tool_use_id: 'toolu_1',
      is_error: true,
      content: [{ text: expect.stringMatching(/vanished.*not known.*not\s+made again/s) }],
    },
  ]);
}, 90_000);

test.each([
  {
    name: 'that then ends → its result',
    answers: true,
    result: { content: [{ type: 'text', text: 'done after all' }] },
  },
  {
    name: 'that does not end → given up in words after the time of grace',
    answers: false,
    result: {
      is_error: true,
      content: [{ text: expect.stringMatching(/worker was stopped: .*effect is not known/) }],
    },
  },
])(
  'a worker told to stop in the middle of a call $name, and it is never made again',
  async (end) => {
    let called = 0;
    const { promise: answer, resolve } = Promise.withResolvers<string>();
    server = await startMcpServer({
      call: () => {
        called += 1;
        return answer;
      },
    });
    harness = await startMcpHarness({
      player: scripted([says([calls('mcp__srv__echo', {}, 'toolu_1')]), says('Done.')]),
      hasVaultWorker: false,
    });
    const first = await startWorker();
    const handle = await harness.start({ agent: mcpAgent(server.url), initial_events: ['go'] });
    await waitFor('the call', () => called === 1);
    const [stopping, exit] = [once(first.stdout as Readable, 'data'), once(first, 'exit')];
    first.kill('SIGTERM');
    expect(String((await stopping)[0])).toBe('stopping\n');
    if (end.answers) resolve('done after all');
    // By itself, and well.
    expect(await exit).toEqual([0, null]);
    await startWorker();
    await waitFor('the answer', () => harness.model.requests.length === 2, 40_000);
    expect(called).toBe(1);
    const results = await resultsOf(handle.workflowId);
    expect(results).toMatchObject([{ mcp_tool_use_id: 'toolu_1', ...end.result }]);
  },
  90_000,
);

async function resultsOf(workflowId: string): Promise<readonly object[]> {
  const events = await harness.eventsOf(workflowId);
  return events.filter(({ type }) => type === 'agent.mcp_tool_result');
}
