import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEnvironmentReader } from '../../activities/registry/registered-environments.ts';
import { environmentMessages } from '../../protocol/messages.ts';
import { fromConversation, says } from '../../rehearsal/script.ts';
import { type Harness, startHarness } from '../support/harness.ts';
import { waitFor } from '../support/wait-for.ts';

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness({ player: fromConversation(() => says('ok')) });
});
afterAll(() => harness.stop());

test('each version is read, an unchanged one is not asked for again, an archived one is left out', async () => {
  let queries = 0;
  const { client, taskQueue } = harness;
  const counting = Object.create(client) as typeof client;
  Object.defineProperty(counting, 'workflow', {
    value: Object.assign(Object.create(client.workflow), {
      getHandle: (id: string) => {
        const handle = client.workflow.getHandle(id);
        const query: typeof handle.query = (...words) => {
          if (id.endsWith(name)) queries += 1;
          return handle.query(...words);
        };
        return { ...handle, describe: () => handle.describe(), query };
      },
    }),
  });
  const name = `pooled-${randomUUID()}`;
  const handle = await client.workflow.start('environment', {
    workflowId: `environment-${name}`,
    taskQueue,
    args: [{ config: { warm_pool_size: 1 } }],
  });
  const reader = createEnvironmentReader(counting);
  const read = async () => (await reader.read()).environments.find(({ id }) => id === name);
  const sizeOf = async () => (await read())?.definition.config?.warm_pool_size;
  await waitFor('it to be listed', async () => (await sizeOf()) === 1);
  // Its first workflow task may have ended after it was read first.
  await waitFor('it to be asked no more', async () => {
    const asked = queries;
    await read();
    return queries === asked;
  });
  await handle.executeUpdate(environmentMessages.update, {
    args: [{ config: { warm_pool_size: 2 } }],
  });
  expect(await read()).toMatchObject({ version: 2, definition: { config: { warm_pool_size: 2 } } });
  await handle.executeUpdate(environmentMessages.archive);
  expect(await read()).toBeUndefined();
});

test('one that nobody answers for → the others are read, and it is said that some are missing', async () => {
  const { client } = harness;
  const name = `unanswered-${randomUUID()}`;
  const handle = await client.workflow.start('environment', {
    workflowId: `environment-${name}`,
    taskQueue: `nobody-${name}`,
    args: [{}],
  });
  const reader = createEnvironmentReader(client);
  try {
    await waitFor(
      'it to be listed',
      async () => !(await client.withDeadline(Date.now() + 2_000, () => reader.read())).isComplete,
    );
  } finally {
    await handle.terminate();
  }
});
