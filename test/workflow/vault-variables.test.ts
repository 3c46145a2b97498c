import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ProvisionInput } from '../../protocol/hand.ts';
import { getHeldHands } from '../../protocol/messages.ts';
import { calls, says, scripted } from '../../rehearsal/script.ts';
import { everythingOf, spellings } from '../support/canary.ts';
import { okHands } from '../support/harness.ts';
import { type McpHarness, startMcpHarness } from '../support/mcp-harness.ts';

// Before a hand of a session with vaults is made, it is asked what it may use; and the session tells
// which hands it holds.

const VALUE = 'the-value-of-it-4711';
const USE = [says([calls('bash', { command: 'use' }, 'toolu_1')]), says('Done.')];

let harness: McpHarness;
let provisioned: ProvisionInput[];
let whileProvisioning: (input: ProvisionInput) => Promise<unknown>;

beforeEach(async () => {
  provisioned = [];
  whileProvisioning = async () => {};
  harness = await startMcpHarness({
    player: scripted([...USE, ...USE]),
    hands: () =>
      okHands({
        async provision(input) {
          provisioned.push(input);
          await whileProvisioning(input);
          return { hand: { ...input.hand, provider: 'fake', instance: 'instance-1' } };
        },
      }),
  });
  for (const id of ['first', 'second']) await harness.keeper.createVault({ id });
});
afterEach(() => harness.stop());

function addVariable(vault_id: string, id: string, auth: object = {}) {
  return harness.keeper.createCredential(
    {
      vault_id,
      id,
      auth: {
        type: 'environment_variable',
        secret_name: 'API_TOKEN',
        networking: { type: 'limited', allowed_hosts: ['api.example.com'] },
        ...auth,
      },
    },
    VALUE,
  );
}

async function run(input: object) {
  const handle = await harness.start({ initial_events: ['go'], ...input });
  await harness.untilIdle(handle);
  const events = await harness.eventsOf(handle.workflowId);
  const results = events.flatMap((event) => (event.type === 'agent.tool_result' ? [event] : []));
  return { handle, results: JSON.stringify(results) };
}

test('a session with vaults → its hands get names and placeholders, and the history no value', async () => {
  await addVariable('first', 'api', { injection_location: { header: true, body: false } });
  await addVariable('first', 'other', {
    secret_name: 'OTHER',
    networking: { type: 'unrestricted' },
  });
  await addVariable('second', 'api');
  const { handle, results } = await run({ vault_ids: ['first', 'second'] });
  expect(results).toContain('ok: use');
  const placeholder = expect.stringMatching(/^drover_placeholder_[0-9a-f]{32}$/);
  const of = { vault_id: 'first', placeholder };
  expect(provisioned[0]?.grants?.variables).toEqual([
    {
      ...of,
      name: 'API_TOKEN',
      credential_id: 'api',
      hosts: ['api.example.com'],
      header: true,
      body: false,
    },
    { ...of, name: 'OTHER', credential_id: 'other', hosts: null, header: true, body: true },
  ]);
  const [one, two] = provisioned[0]?.grants?.variables ?? [];
  expect(one?.placeholder).not.toBe(two?.placeholder);
  const told = await everythingOf(harness.client, handle);
  expect(told.includes('API_TOKEN')).toBe(true);
  expect(spellings(VALUE).filter((spelling) => told.includes(spelling))).toEqual([]);
});

test('a session without → nothing is asked, nothing is given', async () => {
  const { handle } = await run({});
  expect(provisioned[0]).not.toHaveProperty('grants');
  const { events = [] } = await handle.fetchHistory();
  const types = (events ?? []).map(
    (event) => event.activityTaskScheduledEventAttributes?.activityType?.name,
  );
  expect(types).toContain('provision');
  expect(types).not.toContain('grant');
});

test.each<[string, object, string]>([
  [
    'a vault that is not there',
    { vault_ids: ['third'] },
    'vault third cannot be used: there is none',
  ],
  [
    'a variable that decides how programs run',
    { vault_ids: ['second'] },
    'credential path of vault second is for variable LD_PRELOAD, which decides how the programs',
  ],
])('%s → the call says so, nothing ran, and the session goes on', async (_what, input, words) => {
  await addVariable('second', 'path', { secret_name: 'LD_PRELOAD' });
  const { results } = await run(input);
  expect(results).toContain('The sandbox could not be made, nothing ran');
  expect(results).toContain(words);
  expect(provisioned).toEqual([]);
});

test('the session says which hands it holds, those that are being made too; none once it ended', async () => {
  const heldMeanwhile = Promise.withResolvers<unknown>();
  whileProvisioning = async ({ hand }) => {
    heldMeanwhile.resolve(
      await harness.client.workflow.getHandle(hand.session_id).query(getHeldHands),
    );
  };
  const { handle } = await run({ vault_ids: ['first'] });
  const held = { chain_id: handle.firstExecutionRunId, generations: { main: 1 } };
  expect(await heldMeanwhile.promise).toEqual(held);
  expect(await handle.query(getHeldHands)).toEqual(held);
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow();
  expect(await handle.query(getHeldHands)).toEqual({ ...held, generations: {} });
});
