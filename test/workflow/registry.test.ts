import { randomUUID } from 'node:crypto';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { agentMessages, environmentMessages, registryWorkflowId } from '../../protocol/messages.ts';
import { fromConversation, says } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

/** After this many an entity rolls over; the server would take 2,000. */
const UPDATES_OF_A_RUN = 1_000;

describe('the registry', () => {
  let harness: Harness;
  beforeEach(async () => {
    harness = await startHarness({ player: fromConversation(() => says('Fine.')) });
  });
  afterEach(async () => {
    // Nobody answers for them any more, and others read all environments of this server.
    await Promise.allSettled(created.splice(0).map((entity) => entity.terminate()));
    await harness.stop();
  });
  const created: WorkflowHandle[] = [];

  async function create(type: 'agent' | 'environment', id: string, definition: unknown) {
    const entity = await harness.client.workflow.start(type, {
      workflowId: registryWorkflowId(type, id),
      taskQueue: harness.taskQueue,
      args: [definition],
    });
    created.push(harness.client.workflow.getHandle(entity.workflowId));
    return entity;
  }

  test('create, update, get a version → versions never change', async () => {
    const id = randomUUID();
    const entity = await create('agent', id, { name: 'one', system: 'Be brief.' });
    const updated = await entity.executeUpdate(agentMessages.update, {
      args: [{ name: 'two', system: 'Be long.' }],
    });
    expect(updated).toMatchObject({ id, version: 2, definition: { name: 'two' } });
    expect(await entity.query(agentMessages.get, 1)).toMatchObject({ definition: { name: 'one' } });
    expect(await entity.query(agentMessages.get)).toMatchObject({ version: 2 });
    expect(await entity.query(agentMessages.get, 3)).toBeUndefined();
  });

  test('a session → resolves agent and environment once, into its own history', async () => {
    const id = randomUUID();
    const entity = await create('agent', id, { name: 'one', system: 'Be brief.' });
    await create('environment', id, { name: 'env', task_queue: harness.handsQueue });
    const handle = await harness.start({
      agent: id as never,
      environment: id,
      initial_events: ['hi'],
    });
    const session = await harness.untilIdle(handle);
    await entity.executeUpdate(agentMessages.update, { args: [{ name: 'two' }] });
    expect(session.agent).toMatchObject({ id, version: 1, definition: { name: 'one' } });
    expect(session.environment).toMatchObject({ id, version: 1 });
    expect(await harness.log.session(handle.workflowId)).toEqual(session);
    expect(JSON.stringify(harness.model.requests[0]?.body.system)).toContain('Be brief.');
  });

  test('an archived agent → refuses updates and new sessions in words', async () => {
    const id = randomUUID();
    const entity = await create('agent', id, { name: 'one' });
    await entity.executeUpdate(agentMessages.archive);
    const refused = await entity
      .executeUpdate(agentMessages.update, { args: [{ name: 'two' }] })
      .catch((error: unknown) => error);
    expect(String((refused as Error).cause)).toMatch(/archived/);
    const handle = await harness.start({ agent: id as never });
    const error = await handle.result().catch((reason: unknown) => reason);
    const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
    expect(String(cause?.cause)).toMatch(new RegExp(`${id}.*archived`));
  });

  test('a wrong definition → refused naming the field, at create and at update', async () => {
    const bad = await create('environment', randomUUID(), { task_queue: 'payments' });
    const error = await bad.result().catch((reason: unknown) => reason);
    expect(String((error as WorkflowFailedError).cause)).toMatch(/definition\.task_queue/);
    const entity = await create('environment', randomUUID(), {});
    const refused = await entity
      .executeUpdate(environmentMessages.update, { args: [{ idle_release_seconds: -1 }] })
      .catch((reason: unknown) => reason);
    expect(String((refused as Error).cause)).toMatch(/definition\.idle_release_seconds/);
  });

  test('versions that a roll-over could not carry → refused, at create and at update', async () => {
    const large = { system: '語'.repeat(400_000) };
    const bad = await create('agent', randomUUID(), large);
    const error = await bad.result().catch((reason: unknown) => reason);
    expect(String((error as WorkflowFailedError).cause)).toMatch(/12\d{5} bytes/);
    const entity = await create('agent', randomUUID(), {});
    const refused = await entity
      .executeUpdate(agentMessages.update, { args: [large] })
      .catch((reason: unknown) => reason);
    expect(String((refused as Error).cause)).toMatch(/12\d{5} bytes.*create another one/);
  });

  test('more updates than a run takes → rolls over, and knows an id of the run before', async () => {
    const id = randomUUID();
    const entity = await create('agent', id, { name: 'one' });
    const { runId } = await entity.describe();
    const update = (updateId: string) =>
      entity.executeUpdate(agentMessages.update, { args: [{ name: updateId }], updateId });
    const first = await update('first');
    expect(await update('first')).toEqual(first);
    for (let sent = 1; sent < UPDATES_OF_A_RUN; sent += 10) {
      const names = Array.from({ length: 10 }, (_, item) => `${sent + item}`);
      await Promise.all(names.map(update));
    }
    await waitFor('another run', async () => (await entity.describe()).runId !== runId);
    const before = await entity.query(agentMessages.get);
    const known = await update('500');
    expect(known.definition.name).toBe('500');
    expect(known.version).toBeLessThan(before?.version ?? 0);
    expect(await entity.query(agentMessages.get)).toEqual(before);
    await entity.executeUpdate(agentMessages.archive);
    // Recorded before it was archived: not refused now.
    const archived = await update('500');
    expect(archived).toMatchObject({ version: known.version, definition: { name: '500' } });
    await expect(update('new')).rejects.toThrow();
  }, 60_000);
});
