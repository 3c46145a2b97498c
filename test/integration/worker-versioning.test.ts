import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  agentMessages,
  getSession,
  registryWorkflowId,
  send,
  upgrade,
} from '../../protocol/messages.ts';
import { TASK_QUEUE } from '../../protocol/task-queue.ts';
import { fromConversation, says } from '../../rehearsal/script.ts';
import { type RehearsalServer, startRehearsalServer } from '../../rehearsal/server.ts';
import { type DevServer, startDevServer } from '../support/dev-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

const DEPLOYMENT = 'drover';

let server: DevServer;
let model: RehearsalServer;
let connection: Connection;
let stateFolder: string;
const workers: WorkerProcess[] = [];

beforeAll(async () => {
  server = await startDevServer();
  model = await startRehearsalServer({ player: fromConversation(() => says('Fine.')) });
  connection = await Connection.connect({ address: server.address });
  stateFolder = await mkdtemp(join(tmpdir(), 'drover-version-'));
});

afterAll(async () => {
  for (const worker of workers) await worker.stop();
  await model.close();
  await connection.close();
  await server.stop();
  await rm(stateFolder, { recursive: true, force: true });
});

/** Starts a worker of one build and makes it the current version. */
async function deploy(buildId: string): Promise<void> {
  workers.push(
    await startWorkerProcess({
      TEMPORAL_ADDRESS: server.address,
      DROVER_STATE_FOLDER: stateFolder,
      DROVER_DEPLOYMENT_NAME: DEPLOYMENT,
      DROVER_BUILD_ID: buildId,
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: 'rehearsal',
    }),
  );
  await waitFor(`build ${buildId} to become current`, () =>
    connection.workflowService
      .setWorkerDeploymentCurrentVersion({
        namespace: 'default',
        deploymentName: DEPLOYMENT,
        buildId,
      })
      .then(
        () => true,
        // Not yet known to the server: its pollers register it.
        () => false,
      ),
  );
}

test('a pinned session → stays on its version until it is told to upgrade', async () => {
  await deploy('one');
  const client = new Client({ connection });
  const handle = await client.workflow.start('session', {
    workflowId: 'pinned',
    taskQueue: TASK_QUEUE.session,
    args: ['hello'],
  });
  const idle = () =>
    waitFor('an idle session', async () => {
      const { stop_reason } = await handle.query(getSession);
      return stop_reason?.type === 'end_turn';
    });
  const version = async () => {
    const { raw } = await handle.describe();
    return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId;
  };
  await idle();
  expect(await version()).toBe('one');

  await deploy('two');
  await handle.executeUpdate(send, { args: ['still the old one?'] });
  await waitFor('the second answer', () => model.requests.length === 2);
  await idle();
  expect(await version()).toBe('one');

  await handle.signal(upgrade);
  await waitFor('the new version', async () => (await version()) === 'two');
  await handle.executeUpdate(send, { args: ['and now?'] });
  await waitFor('the third answer', () => model.requests.length === 3);
  const texts = JSON.stringify(model.requests[2]?.body.messages);
  expect(texts).toContain('still the old one?');
});

test('a registered agent → answered by the current version, so that older ones can retire', async () => {
  await deploy('three');
  const client = new Client({ connection });
  const handle = await client.workflow.start('agent', {
    workflowId: registryWorkflowId('agent', 'kept'),
    taskQueue: TASK_QUEUE.session,
    args: [{ name: 'one' }],
  });
  expect(await handle.query(agentMessages.get)).toMatchObject({ version: 1 });
  await deploy('four');
  for (const worker of workers.splice(0, workers.length - 1)) await worker.stop();
  const updated = await handle.executeUpdate(agentMessages.update, { args: [{ name: 'two' }] });
  expect(updated).toMatchObject({ version: 2 });
  expect(await handle.query(agentMessages.get, 1)).toMatchObject({ definition: { name: 'one' } });
});
