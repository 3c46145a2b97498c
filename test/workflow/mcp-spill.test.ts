import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createHandActivities } from '../../activities/hands/activities.ts';
import {
  createLocalProvider,
  type LocalProvider,
} from '../../activities/hands/local/local-provider.ts';
import type { HandProvider } from '../../activities/hands/provider.ts';
import { getSession } from '../../protocol/messages.ts';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { mcpAgent } from '../support/mcp-agent.ts';
import { type McpHarness, startMcpHarness } from '../support/mcp-harness.ts';
import { type McpServerScript, type OwnMcpServer, startMcpServer } from '../support/mcp-server.ts';
import { waitFor } from '../support/wait-for.ts';

// Results that are too large for the log, with a real hand for them.

const TOOLSET = [{ type: 'agent_toolset_20260401' }];

let folder: string;
let local: LocalProvider;
let provider: HandProvider;
let harness: McpHarness;
let server: OwnMcpServer;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'drover-mcp-spill-'));
  local = createLocalProvider({ stateFolder: folder, isolation: 'unconfined' });
  provider = local;
});
afterEach(async () => {
  await harness.stop();
  await server.stop();
  await local.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(
  call: NonNullable<McpServerScript['call']>,
  then: string,
  tools: readonly object[] = TOOLSET,
  before = '',
) {
  server = await startMcpServer({ call });
  harness = await startMcpHarness({
    player: scripted([
      ...(before === '' ? [] : [says([calls('bash', { command: before })])]),
      says([calls('mcp__srv__echo', {}, 'toolu_big')]),
      ...(then === '' ? [] : [says([calls('bash', { command: then })])]),
      says('Done.'),
    ]),
    hands: (openStore) => createHandActivities({ providers: { local: provider }, openStore }),
  });
  const handle = await harness.start({
    agent: mcpAgent(server.url, { tools }),
    initial_events: ['go'],
  });
  // Real hands, and files of megabytes: on a machine that does much else it takes a while.
  await waitFor('the end of the turn', () => isIdle(handle), 60_000);
  const events = await harness.eventsOf(handle.workflowId);
  await handle.cancel();
  await handle.result().catch(() => {});
  const keys: string[] = [];
  for await (const { key } of harness.store.list('mcp-results/')) keys.push(key);
  return { events, keys };
}

async function isIdle(handle: WorkflowHandle): Promise<boolean> {
  return (await handle.query(getSession)).stop_reason !== null;
}

const textOf = (event: unknown): string =>
  Object(event)
    .content.map((block: { text?: string }) => block.text ?? '')
    .join('\n');

function only(events: readonly { type: string }[], type: string): unknown {
  const found = events.filter((event) => event.type === type);
  expect(found).toHaveLength(1);
  return found[0];
}

test.each([[101_000], [2_000_000], [8_000_000]])(
  '%d characters → a head for the model, the whole in a file of the hand',
  async (length) => {
    const body = 'äöü. '.repeat(length / 5);
    const sum = 'sha256sum mcp-results/toolu_big.txt | cut -d" " -f1';
    const { events, keys } = await run(() => body, sum);
    const result = only(events, 'agent.mcp_tool_result');
    expect(textOf(result)).toMatch(/in the file mcp-results\/toolu_big\.txt of the workspace\]$/);
    expect(textOf(result).length).toBeLessThan(9_000);
    expect(result).not.toHaveProperty('is_error', true);
    const expected = createHash('sha256').update(body).digest('hex');
    expect(textOf(only(events, 'agent.tool_result'))).toContain(expected);
    expect(keys).toEqual([]);
  },
  120_000,
);

test('what is no text → a file of JSON from which it can be had', async () => {
  const data = Buffer.from('some sound').toString('base64');
  const content = [
    { type: 'text', text: 'Listen:' },
    { type: 'audio', mimeType: 'audio/wav', data },
  ];
  const { events } = await run(() => ({ content }), 'cat mcp-results/toolu_big.json');
  const result = textOf(only(events, 'agent.mcp_tool_result'));
  expect(result).toContain('Listen:');
  expect(result).toContain('[audio, audio/wav, 10 bytes');
  expect(textOf(only(events, 'agent.tool_result'))).toContain(data);
}, 120_000);

test('an agent that cannot read files → cut, and told so; no hand is made', async () => {
  const { events, keys } = await run(() => 'x'.repeat(500_000), '', []);
  const result = textOf(only(events, 'agent.mcp_tool_result'));
  expect(result).toMatch(/\[Cut: the whole result is 500000 bytes/);
  expect(result.length).toBeLessThan(10_000);
  expect(keys).toEqual([]);
});

test('a hand that cannot be made → the head, and why there is no file', async () => {
  provider = {
    provision: () => Promise.reject(refusal()),
    execute: () => Promise.reject(refusal()),
    release: async () => undefined,
  };
  const { events, keys } = await run(() => 'y'.repeat(200_000), '');
  const result = textOf(only(events, 'agent.mcp_tool_result'));
  expect(result).toContain('yyyy');
  expect(result).toMatch(/could not be put into a file: .*no room for it/);
  expect(keys).toEqual([]);
});

test('a hand that refuses the file → the head, and why; the end of the session leaves nothing', async () => {
  const inTheWay = 'rm -rf mcp-results && echo x > mcp-results';
  const { events, keys } = await run(() => 'z'.repeat(200_000), '', TOOLSET, inTheWay);
  const result = textOf(only(events, 'agent.mcp_tool_result'));
  expect(result).toContain('zzzz');
  expect(result).toMatch(/could not be put into a file: /);
  expect(keys).toEqual([]);
});

function refusal(): ApplicationFailure {
  return ApplicationFailure.nonRetryable('no room for it', 'Sandbox.Unavailable');
}
