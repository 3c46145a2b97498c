import { randomUUID } from 'node:crypto';
import type { WorkflowHandle, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../activities/vault/authority.ts';
import { RunNotRetainedError } from '../../log/errors/run-not-retained-error.ts';
import { EventType } from '../../log/history-event.ts';
import { createHistorySource, type HistorySource } from '../../log/history-source.ts';
import { getSession, registryWorkflowId } from '../../protocol/messages.ts';
import type { StartProof } from '../../protocol/start-proof.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { openVaultKeeper, type VaultKeeper } from '../../vault/keeper.ts';
import { openRecords } from '../../vault/open-records.ts';
import { openVault } from '../../vault/open-vault.ts';
import type { Vault } from '../../vault/vault.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { startVaultWorker } from '../support/mcp-harness.ts';
import { makeVaultFolder, type VaultFolder } from '../support/vault-folder.ts';
import { waitFor } from '../support/wait-for.ts';

/** More than the suite's roll-over threshold of 120 events. */
const STEPS = 12;
/** The server removes a run some time after it is asked to. */
const DELETION_MS = 60_000;
const NOBODYS_QUEUE = 'nobody-polls-this';

let harness: Harness;
beforeAll(async () => {
  const player = fromConversation(({ messages }) => {
    const done = messages.filter(({ role }) => role === 'assistant').length;
    const isLong = JSON.stringify(messages).includes('many steps');
    return says(isLong && done < STEPS ? [calls('bash', { command: `step ${done}` })] : 'Done.');
  });
  harness = await startHarness({ player });
});
afterAll(() => harness.stop());

let folder: VaultFolder;
let vault: Vault;
let keeper: VaultKeeper;
beforeEach(async () => {
  folder = await makeVaultFolder();
  vault = openVault(folder.settings());
  keeper = openVaultKeeper(folder.settings());
  await keeper.createVault({ id: 'team' });
  await keeper.createVault({ id: 'others' });
});
afterEach(async () => {
  keeper.close();
  await vault.close();
  await folder.remove();
});

/** One that knows nothing from before. */
function authority(source: Partial<HistorySource> = {}): Authority {
  const { workflowService: service } = harness.client;
  const real = createHistorySource({ service, namespace: 'default', whole: true });
  return createAuthority({ vault, source: { ...real, ...source } });
}

/** As the info of one of its activities. */
async function infoOf(handle: WorkflowHandle, workflowType = 'session') {
  const { runId } = await handle.describe();
  return { workflowId: handle.workflowId, runId, workflowType };
}

/** Only its start matters: nobody runs it. */
function startUnserved(
  type: string,
  input: unknown,
): Promise<WorkflowHandleWithFirstExecutionRunId> {
  return harness.client.workflow.start(type, {
    workflowId: `test-${randomUUID()}`,
    taskQueue: NOBODYS_QUEUE,
    args: [input],
  });
}

const DENIED = { type: 'Vault.NotPermitted', isRetryable: false };

test('a session → uses the vaults that its start names, and no other', async () => {
  const handle = await startUnserved('session', { vault_ids: ['team'] });
  const info = await infoOf(handle);
  const known = authority();
  await known.check(info, 'team');
  await expect(known.check(info, 'others')).rejects.toMatchObject({
    ...DENIED,
    message: `session ${handle.workflowId} may not use vault others: the vault_ids that it was started with name team`,
  });
});

test('a session that names none → none', async () => {
  const handle = await startUnserved('session', 'hello');
  await expect(authority().check(await infoOf(handle), 'team')).rejects.toMatchObject({
    ...DENIED,
    message: expect.stringContaining('name none'),
  });
});

test('a workflow of another type that names a vault → refused, also one that calls itself a session', async () => {
  const handle = await startUnserved('agent', { vault_ids: ['team'] });
  for (const type of ['agent', 'session']) {
    await expect(authority().check(await infoOf(handle, type), 'team')).rejects.toMatchObject({
      ...DENIED,
      message: expect.stringContaining('only a session whose start names a vault may'),
    });
  }
});

test('a start that claims to continue another run → refused', async () => {
  const continued = { vault_ids: ['team'], run_index: 1, run_ids: [randomUUID()] };
  for (const input of [{ continued }, { continued, vault_ids: ['team'] }]) {
    const handle = await startUnserved('session', input);
    await expect(authority().check(await infoOf(handle), 'team')).rejects.toMatchObject(DENIED);
  }
});

test('a start that no session has → refused', async () => {
  const handle = await startUnserved('session', { vault_ids: ['team', 'a/b'] });
  await expect(authority().check(await infoOf(handle), 'team')).rejects.toMatchObject(DENIED);
});

test('a hand → as the session that its token names, of that chain alone', async () => {
  const handle = await startUnserved('session', { vault_ids: ['team'] });
  const hand = { session_id: handle.workflowId, chain_id: handle.firstExecutionRunId };
  await authority().checkHand(hand, 'team');
  await expect(authority().checkHand(hand, 'others')).rejects.toMatchObject(DENIED);
  const elsewhere = { ...hand, chain_id: randomUUID() };
  await expect(authority().checkHand(elsewhere, 'team')).rejects.toMatchObject(DENIED);
});

test('an unknown or archived vault → not found', async () => {
  const handle = await startUnserved('session', { vault_ids: ['team', 'gone', 'never'] });
  await keeper.createVault({ id: 'gone' });
  await keeper.archiveVault('gone');
  const info = await infoOf(handle);
  await expect(authority().check(info, 'gone')).rejects.toMatchObject({
    type: 'Vault.NotFound',
    message: expect.stringContaining('it was archived at'),
  });
  await expect(authority().check(info, 'never')).rejects.toMatchObject({
    type: 'Vault.NotFound',
    message: 'vault never cannot be used: there is none',
  });
});

test('a vault for some agents → sessions of those that are registered under these ids', async () => {
  const id = `support-${randomUUID()}`;
  await harness.client.workflow.start('agent', {
    workflowId: registryWorkflowId('agent', id),
    taskQueue: harness.taskQueue,
    args: [{ name: 'one' }],
  });
  await keeper.createVault({ id: 'narrow', allowed_agents: [id] });
  const vault_ids = ['narrow'];
  const admitted = await startUnserved('session', { vault_ids, agent: id });
  await authority().check(await infoOf(admitted), 'narrow');
  const versioned = { type: 'agent', id, version: 1 };
  const alsoAdmitted = await startUnserved('session', { vault_ids, agent: versioned });
  await authority().check(await infoOf(alsoAdmitted), 'narrow');
  for (const [agent, words] of [
    ['triage', 'its agent is triage'],
    [{ name: id }, 'an agent that is not registered'],
    [undefined, 'an agent that is not registered'],
  ] as const) {
    const handle = await startUnserved('session', { vault_ids, agent });
    await expect(authority().check(await infoOf(handle), 'narrow')).rejects.toMatchObject({
      ...DENIED,
      message: expect.stringContaining(words),
    });
  }
});

test('a vault for some owners → sessions that say they are theirs, where the server names nobody', async () => {
  await keeper.createVault({ id: 'annas', allowed_owners: ['anna'] });
  const vault_ids = ['annas'];
  const hers = await startUnserved('session', { vault_ids, metadata: { owner: 'anna' } });
  await authority().check(await infoOf(hers), 'annas');
  const his = await startUnserved('session', { vault_ids, metadata: { owner: 'bert' } });
  await expect(authority().check(await infoOf(his), 'annas')).rejects.toMatchObject({
    ...DENIED,
    message: expect.stringContaining('it was started by bert'),
  });
  const nobodys = await startUnserved('session', { vault_ids });
  await expect(authority().check(await infoOf(nobodys), 'annas')).rejects.toMatchObject({
    ...DENIED,
    message: expect.stringContaining('it is not known who started it'),
  });
});

test('a server that names who called → what a session says of itself counts for nothing', async () => {
  await keeper.createVault({ id: 'annas', allowed_owners: ['anna'] });
  const input = { vault_ids: ['annas'], metadata: { owner: 'anna' } };
  const info = await infoOf(await startUnserved('session', input));
  const { workflowService: service } = harness.client;
  const real = createHistorySource({ service, namespace: 'default' });
  /** The development server authenticates nobody, so its events are given a name here. */
  const named = (name: string) =>
    authority({
      firstEvent: async (run) => {
        const event = await real.firstEvent(run);
        return event && { ...event, principal: { type: 'jwt', name } };
      },
    });
  await named('anna').check(info, 'annas');
  await expect(named('bert').check(info, 'annas')).rejects.toMatchObject(DENIED);
});

async function untilDone(handle: WorkflowHandle): Promise<void> {
  await waitFor('the end of the turn', async () => {
    const { status, stop_reason } = await handle.query(getSession);
    return status === 'idle' && stop_reason !== null;
  });
}

async function rolledOver(also: object = {}) {
  const noStore = () => Promise.reject(new TypeError('no store is needed'));
  const stopWorker = await startVaultWorker(harness.taskQueue, folder.settings(), noStore);
  const handle = await harness.start({
    vault_ids: ['team'],
    initial_events: ['many steps'],
    ...also,
  });
  const current = harness.client.workflow.getHandle(handle.workflowId);
  await untilDone(current).finally(stopWorker);
  expect((await current.describe()).runId).not.toBe(handle.firstExecutionRunId);
  return { current, firstRunId: handle.firstExecutionRunId };
}

test('after a roll-over → as before it, and the session shows its vaults', async () => {
  const { current } = await rolledOver();
  const info = await infoOf(current);
  await authority().check(info, 'team');
  await expect(authority().check(info, 'others')).rejects.toMatchObject(DENIED);
  const session = await current.query(getSession);
  expect(session.vault_ids).toEqual(['team']);
  expect(await harness.log.session(current.workflowId)).toEqual(session);
});

/** As the server does when the retention of its namespace is over. */
async function remove(workflowId: string, runId: string): Promise<void> {
  const { workflowService } = harness.client;
  const execution = { workflowId, runId };
  await workflowService.deleteWorkflowExecution({
    namespace: 'default',
    workflowExecution: execution,
  });
  const isGone = () =>
    workflowService.getWorkflowExecutionHistory({ namespace: 'default', execution }).then(
      () => false,
      () => true,
    );
  await waitFor('the first run to be gone', isGone, DELETION_MS);
}

test('when the first run is past retention → as a vault worker signed before it closed', async () => {
  await keeper.createVault({ id: 'annas', allowed_owners: ['anna'] });
  await keeper.createVault({ id: 'berts', allowed_owners: ['bert'] });
  const vault_ids = ['team', 'annas', 'berts'];
  const { current, firstRunId } = await rolledOver({ vault_ids, metadata: { owner: 'anna' } });
  await remove(current.workflowId, firstRunId);
  const info = await infoOf(current);
  await authority().check(info, 'team');
  await authority().check(info, 'annas');
  await expect(authority().check(info, 'berts')).rejects.toMatchObject(DENIED);
  await expect(authority().check(info, 'others')).rejects.toMatchObject(DENIED);
  const hand = { session_id: current.workflowId, chain_id: firstRunId };
  await authority().checkHand(hand, 'team');
  await expect(authority().checkHand(hand, 'others')).rejects.toMatchObject(DENIED);
  // What the vault's keys are sealed with may change meanwhile.
  expect(await keeper.reseal()).toBe(5);
  await authority().check(info, 'annas');
}, 90_000);

test('a first run past retention, of which the server named who started it → that one still', async () => {
  await keeper.createVault({ id: 'annas', allowed_owners: ['anna'] });
  const input = { vault_ids: ['annas'], metadata: { owner: 'bert' } };
  const first = await infoOf(await startUnserved('session', input));
  const { workflowService: service } = harness.client;
  const real = createHistorySource({ service, namespace: 'default' });
  const start_proof = await authority({
    firstEvent: async (run) => {
      const event = await real.firstEvent(run);
      return event && { ...event, principal: { type: 'jwt', name: 'anna' } };
    },
  }).proveStart(first);
  const next = { ...first, runId: randomUUID() };
  /** The start of a run that this chain's first one continued as, by the server's word. */
  const later = (proof: StartProof): Partial<HistorySource> => ({
    async firstEvent({ sessionId, runId }) {
      if (runId !== next.runId) throw new RunNotRetainedError(sessionId, runId, undefined);
      const continued = { vault_ids: ['annas'], start_proof: proof };
      const data = Buffer.from(JSON.stringify({ vault_ids: [], continued }));
      return {
        principal: { type: 'jwt', name: 'worker' },
        workflowExecutionStartedEventAttributes: {
          workflowType: { name: 'session' },
          firstExecutionRunId: first.runId,
          continuedExecutionRunId: first.runId,
          input: { payloads: [{ metadata: { encoding: Buffer.from('json/plain') }, data }] },
        },
      };
    },
  });
  await authority(later(start_proof)).check(next, 'annas');
  const changed = [
    { ...start_proof, owner: 'bert' },
    { ...start_proof, vault_ids: ['annas', 'team'] },
    { ...start_proof, signature: '' },
  ];
  for (const proof of changed) {
    await expect(authority(later(proof)).check(next, 'annas')).rejects.toMatchObject({
      ...DENIED,
      message: expect.stringContaining('retention'),
    });
  }
  const others = await infoOf(await startUnserved('session', { vault_ids: ['annas'] }));
  const notTheirs = await authority().proveStart(others);
  await expect(authority(later(notTheirs)).check(next, 'annas')).rejects.toMatchObject(DENIED);
});

test('a first run past retention, and nobody signed in time → refused, with the remedy', async () => {
  const records = openRecords(folder.settings());
  await records.write('proof-keys/starts', '{"not": "ours"}', 0);
  records.close();
  const { current, firstRunId } = await rolledOver();
  await remove(current.workflowId, firstRunId);
  const info = await infoOf(current);
  const refused = {
    ...DENIED,
    message: expect.stringMatching(
      new RegExp(`may not use vault team any more: its first run ${firstRunId}.*--retention`),
    ),
  };
  await expect(authority().check(info, 'team')).rejects.toMatchObject(refused);
  const hand = { session_id: current.workflowId, chain_id: firstRunId };
  await expect(authority().checkHand(hand, 'team')).rejects.toMatchObject(refused);
}, 120_000);

test('after a reset → as before it', async () => {
  const handle = await harness.start({ vault_ids: ['team'], initial_events: ['hello'] });
  await untilDone(handle);
  const { events } = await handle.fetchHistory();
  const task = events?.find(
    ({ eventType }) => eventType === EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
  );
  await harness.client.workflowService.resetWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId: handle.workflowId, runId: handle.firstExecutionRunId },
    workflowTaskFinishEventId: task?.eventId ?? null,
    requestId: randomUUID(),
    reason: 'a test',
  });
  const current = harness.client.workflow.getHandle(handle.workflowId);
  const info = await infoOf(current);
  expect(info.runId).not.toBe(handle.firstExecutionRunId);
  await authority().check(info, 'team');
  await expect(authority().check(info, 'others')).rejects.toMatchObject(DENIED);
  const hand = { session_id: handle.workflowId, chain_id: handle.firstExecutionRunId };
  await authority().checkHand(hand, 'team');
  await untilDone(current);
  expect((await current.query(getSession)).vault_ids).toEqual(['team']);
});

test('what a session was started with is read once', async () => {
  const info = await infoOf(await startUnserved('session', { vault_ids: ['team'] }));
  const { workflowService: service } = harness.client;
  const real = createHistorySource({ service, namespace: 'default' });
  let reads = 0;
  const counting = authority({
    firstEvent(run) {
      reads += 1;
      return real.firstEvent(run);
    },
  });
  for (let call = 0; call < 5; call += 1) await counting.check(info, 'team');
  expect(reads).toBe(1);
});
