import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { msToTs } from '@temporalio/common/lib/time.js';
import { temporal } from '@temporalio/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FAILURE } from '../../protocol/failure.ts';
import { waitFor } from '../support/wait-for.ts';
import { gitUrl, keepCredentials, mcpUrl } from './world/credentials.ts';
import { startVaultWorld, type VaultWorld } from './world/vault-world.ts';

// Workflows that nobody of the project wrote, on a queue of their own, ask the vault's activities for
// what is not theirs. Each step of theirs is made by hand, by the server's own calls.

const { CommandType, EventType } = temporal.api.enums.v1;
const namespace = 'default';
const VAULT_QUEUE = 'drover-vault';
const POLL_MS = 30_000;

let world: VaultWorld;
let count = 0;

beforeAll(async () => {
  world = await startVaultWorld({
    async vault(_token, folder) {
      mkdirSync(join(folder, 'vault'));
      return { DROVER_VAULT: pathToFileURL(join(folder, 'vault')).href };
    },
  });
  await keepCredentials(world);
}, 240_000);

afterAll(async () => {
  await world?.close();
}, 60_000);

const SERVER = () => ({ type: 'url', name: 'bearer', url: mcpUrl(world.bearerMcp.port) });
const TOOLSET = { type: 'mcp_toolset', mcp_server_name: 'bearer', configs: [] };
const VAULTS = { vault_ids: ['team'] };

const ACTIVITIES: readonly [name: string, input: (chainId: string, id: string) => object][] = [
  [
    'grant',
    (chain_id, session_id) => ({
      ...VAULTS,
      hand: { session_id, chain_id, name: 'main', generation: 1 },
    }),
  ],
  ['listMcpTools', () => ({ ...VAULTS, server: SERVER(), toolset: TOOLSET })],
  [
    'callMcpTool',
    () => ({
      ...VAULTS,
      server: SERVER(),
      may_spill: false,
      call: { id: 'toolu_1', name: 'echo', input: {} },
    }),
  ],
];

const STARTS: readonly [what: string, type: string, input: object][] = [
  ['another type', 'thief', VAULTS],
  ['the type of a session, and a start without the vault', 'session', {}],
  ['the type of a session, and a start with another vault', 'session', { vault_ids: ['mine'] }],
  [
    'the type of a session, and a start as if it had rolled over',
    'session',
    { ...VAULTS, continued: { vault_ids: ['team'], agent: { id: null } } },
  ],
];

test.each(
  STARTS.flatMap(([what, type, input]) =>
    ACTIVITIES.map(([name, inputOf]) => [what, name, type, input, inputOf] as const),
  ),
)(
  '%s asks %s for a vault → refused, and nothing is sent',
  async (_what, name, type, input, inputOf) => {
    const shown = world.bearerMcp.authorizations.length;
    const thief = await startThief(type, input);
    const answer = await thief.ask(name, inputOf(thief.runId, thief.workflowId));
    expect(answer).toMatch(new RegExp(`${FAILURE.vaultNotPermitted}|may not use vault team`));
    expect(answer).toContain(thief.workflowId);
    expect(world.bearerMcp.authorizations.slice(shown).filter(Boolean)).toEqual([]);
  },
);

test('the type of a session, and a start that names the vault → given', async () => {
  const owner = await startThief('session', VAULTS);
  const [[grant, grantInput] = [], , [call, callInput] = []] = ACTIVITIES;
  const given = await owner.ask(grant ?? '', grantInput?.(owner.runId, owner.workflowId) ?? {});
  expect(given).toContain('API_KEY');
  const caller = await startThief('session', VAULTS);
  const said = await caller.ask(call ?? '', callInput?.(caller.runId, caller.workflowId) ?? {});
  expect(said).toContain('You are known');
});

test('a session of another’s name → is not believed, the activity knows whose it is', async () => {
  await world.start('session-honest', { ...VAULTS, initial_events: 'hello' });
  const honest = await world.client.workflow.getHandle('session-honest').describe();
  const thief = await startThief('session', {});
  const answer = await thief.ask('grant', {
    ...VAULTS,
    hand: { session_id: 'session-honest', chain_id: honest.runId, name: 'main', generation: 1 },
  });
  expect(answer).toContain(FAILURE.vaultNotPermitted);
});

test('a type that becomes a session by a roll-over → refused', async () => {
  const thief = await startThief('thief', VAULTS);
  await thief.rollOver('session', VAULTS);
  const answer = await thief.ask('grant', {
    ...VAULTS,
    hand: { session_id: thief.workflowId, chain_id: thief.runId, name: 'main', generation: 1 },
  });
  expect(answer).toContain(FAILURE.vaultNotPermitted);
});

test.each([
  ['environment', { environment: { task_queue: VAULT_QUEUE } }],
  ['environment', { environment: { task_queue: 'drover' } }],
  ['hands', { hands: { other: { task_queue: 'drover-handsome' } } }],
  ['task_queue', { agent: { tools: [customTool(VAULT_QUEUE)] } }],
  ['task_queue', { agent: { tools: [customTool('drover-hands')] } }],
])('a queue outside its prefix (%s) → the session is refused in words', async (field, input) => {
  count += 1;
  const id = `session-queue-${count}`;
  await world.start(id, { ...input, initial_events: 'hello' });
  const failure = await world.client.workflow
    .getHandle(id)
    .result()
    .catch((error: Error & { cause?: Error }) => error.cause?.message ?? error.message);
  expect(failure).toContain(field);
  expect(failure).toMatch(/must (be|start with) drover-(hands|tools)/);
});

function customTool(task_queue: string): object {
  return {
    ...{ type: 'custom', name: 'steal', description: 'x', task_queue },
    input_schema: { type: 'object' },
  };
}

test.each<[what: string, input: () => object, words: RegExp]>([
  [
    'a vault that there is none of',
    () => ({ vault_ids: ['nowhere'] }),
    /vault nowhere.*there is none/,
  ],
  [
    'a credential that there is none of',
    () => ({ ...VAULTS, resources: [repositoryWith('nothing')] }),
    /credential nothing of vault team/,
  ],
  [
    'a credential of another kind',
    () => ({ ...VAULTS, resources: [repositoryWith('bearer')] }),
    /credential bearer of vault team.*static_bearer/,
  ],
])(
  '%s → named to whoever calls a tool, and the session goes on',
  async (what, input, words) => {
    const id = `session-${what.replaceAll(' ', '-')}`;
    await world.start(id, { ...input(), initial_events: '$ true' });
    const events = await world.untilIdle(id);
    expect((await world.results(id)).join()).toMatch(words);
    expect(events.at(-1)).toMatchObject({ stop_reason: { type: 'end_turn' } });
  },
  120_000,
);

function repositoryWith(credential_id: string): object {
  const url = gitUrl(world.git.port, 'work');
  return { type: 'github_repository', url, credential: { vault_id: 'team', credential_id } };
}

test('MCP servers at private addresses → not dialled, and the session goes on', async () => {
  const urls = {
    metadata: 'http://169.254.169.254/latest',
    private: 'https://10.0.0.1/mcp',
    named: 'https://metadata.test/mcp',
    cluster: 'https://kubernetes.test/mcp',
    mapped: 'https://[::ffff:10.0.0.1]/mcp',
    odd: 'https://0x0a.1/mcp',
  };
  const names = Object.keys(urls);
  await world.start('session-private', {
    agent: {
      tools: names.map((name) => ({ type: 'mcp_toolset', mcp_server_name: name })),
      mcp_servers: Object.entries(urls).map(([name, url]) => ({ type: 'url', name, url })),
    },
    initial_events: 'hello',
  });
  const events = await world.untilIdle('session-private');
  const errors = events.flatMap((event) => (event.type === 'session.error' ? [event.error] : []));
  expect(errors).toHaveLength(names.length);
  for (const name of names) {
    expect(errors).toContainEqual(
      expect.objectContaining({
        type: 'mcp_connection_failed_error',
        mcp_server_name: name,
        message: expect.stringMatching(/no public address|must be dialled by https/),
      }),
    );
  }
  expect(events.at(-1)).toMatchObject({ type: 'session.status_idle' });
});

interface Thief {
  readonly workflowId: string;
  readonly runId: string;
  /** Runs an activity of the vault's queue, and gives its result or its failure as text. */
  ask(activity: string, input: object): Promise<string>;
  rollOver(type: string, input: object): Promise<void>;
}

async function startThief(type: string, input: object): Promise<Thief> {
  count += 1;
  const { workflowService } = world.connection;
  const workflowId = `thief-${count}`;
  const taskQueue = { name: `thieves-${count}` };
  const { runId } = await workflowService.startWorkflowExecution({
    namespace,
    workflowId,
    workflowType: { name: type },
    taskQueue,
    requestId: workflowId,
    input: payloads(input),
  });
  const decide = async (command: temporal.api.command.v1.ICommand): Promise<void> => {
    const poll = () => workflowService.pollWorkflowTaskQueue({ namespace, taskQueue });
    const { taskToken } = await world.connection.withDeadline(Date.now() + POLL_MS, poll);
    await workflowService.respondWorkflowTaskCompleted({
      namespace,
      taskToken,
      commands: [command],
    });
  };
  return {
    workflowId,
    runId,
    async ask(activity, given) {
      await decide({
        commandType: CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        scheduleActivityTaskCommandAttributes: {
          activityId: '1',
          activityType: { name: activity },
          taskQueue: { name: VAULT_QUEUE },
          input: payloads(given),
          startToCloseTimeout: msToTs('30 seconds'),
          heartbeatTimeout: msToTs('10 seconds'),
          retryPolicy: { maximumAttempts: 1 },
        },
      });
      return waitFor(`${activity} to answer`, () => answerOf(workflowId), 60_000);
    },
    rollOver: (workflowType, given) =>
      decide({
        commandType: CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
        continueAsNewWorkflowExecutionCommandAttributes: {
          workflowType: { name: workflowType },
          taskQueue,
          input: payloads(given),
        },
      }),
  };
}

async function answerOf(workflowId: string): Promise<string | undefined> {
  const { history } = await world.connection.workflowService.getWorkflowExecutionHistory({
    namespace,
    execution: { workflowId },
  });
  const ended = history?.events?.find(
    ({ eventType }) =>
      eventType === EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED ||
      eventType === EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
  );
  if (ended === undefined) return undefined;
  const { activityTaskCompletedEventAttributes: completed } = ended;
  if (completed == null) return JSON.stringify(ended.activityTaskFailedEventAttributes?.failure);
  return Buffer.from(completed.result?.payloads?.[0]?.data ?? []).toString();
}

function payloads(value: object): temporal.api.common.v1.IPayloads {
  const metadata = { encoding: Buffer.from('json/plain') };
  return { payloads: [{ metadata, data: Buffer.from(JSON.stringify(value)) }] };
}
