import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { V1Pod } from '@kubernetes/client-node';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ANNOTATION } from '../../k8s/hand-labels.ts';
import { createLogReader, type LogReader } from '../../log/log-reader.ts';
import { getSession } from '../../protocol/messages.ts';
import { TASK_QUEUE } from '../../protocol/task-queue.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { startRehearsalServer } from '../../rehearsal/server.ts';
import { startDevServer } from '../support/dev-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';
import { describeCluster, expectNothingLeft, SANDBOX_IMAGE } from './test-cluster.ts';

const COMMANDS = [
  'echo one > file; id -u',
  'echo run >> runs; echo waiting for a kill; sleep 3; wc -l < runs',
  'echo waiting for the end; sleep 100',
  'ls | wc -l',
];

describeCluster('a session whose hand is in a cluster', (cluster) => {
  const closing = new AsyncDisposableStack();
  let client: Client;
  let log: LogReader;
  let worker: WorkerProcess;

  beforeAll(async () => {
    const stateFolder = mkdtempSync(join(tmpdir(), 'drover-cluster-test-'));
    closing.defer(() => rmSync(stateFolder, { recursive: true, force: true }));
    const server = await startDevServer();
    closing.defer(() => server.stop());
    const player = fromConversation((request) => {
      const step = request.messages.filter(({ role }) => role === 'assistant').length;
      const command = COMMANDS[step];
      return command === undefined ? says('Done.') : says([calls('bash', { command })]);
    });
    const model = await startRehearsalServer({ player });
    closing.defer(() => model.close());
    worker = await startWorkerProcess({
      TEMPORAL_ADDRESS: server.address,
      DROVER_STATE_FOLDER: stateFolder,
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: 'rehearsal',
      KUBECONFIG: cluster().workerKubeconfig,
      DROVER_KUBERNETES_NAMESPACE: cluster().namespace,
      DROVER_SANDBOX_IMAGE: SANDBOX_IMAGE,
    });
    closing.defer(() => worker.stop());
    const connection = await Connection.connect({ address: server.address });
    closing.defer(() => connection.close());
    client = new Client({ connection });
    log = createLogReader({ service: connection.workflowService, namespace: 'default' });
  });
  afterAll(() => closing.disposeAsync());

  function start(environment: object): Promise<WorkflowHandle> {
    return client.workflow.start('session', {
      workflowId: `cluster-${randomUUID()}`,
      taskQueue: TASK_QUEUE.session,
      args: [{ initial_events: ['go'], environment: { provider: 'kubernetes', ...environment } }],
    });
  }

  /** What `temporal workflow describe` shows of running activities. */
  async function heartbeats(handle: WorkflowHandle): Promise<string> {
    const { raw } = await handle.describe();
    const details = (raw.pendingActivities ?? []).flatMap(
      ({ heartbeatDetails }) => heartbeatDetails?.payloads ?? [],
    );
    return details.map(({ data }) => Buffer.from(data ?? []).toString('utf8')).join('\n');
  }

  function untilSaid(handle: WorkflowHandle, text: string): Promise<unknown> {
    const isSaid = async (): Promise<boolean> => (await heartbeats(handle)).includes(text);
    return waitFor(`the command to say "${text}"`, isSaid, 30_000);
  }

  async function resultsOf(handle: WorkflowHandle, timeoutMs = 60_000): Promise<string[]> {
    const isIdle = async (): Promise<boolean> => {
      const session = await handle.query(getSession).catch(() => undefined);
      return session?.status === 'idle' && session.stop_reason !== null;
    };
    await waitFor(`${handle.workflowId} to be idle`, isIdle, timeoutMs);
    const events = await log.read(handle.workflowId, { types: ['agent.tool_result'] });
    return events.map((event) => {
      const content = event.type === 'agent.tool_result' ? (event.content ?? []) : [];
      return content.map((block) => (block.type === 'text' ? block.text : '')).join('');
    });
  }

  async function deletePodOf({ workflowId }: WorkflowHandle): Promise<void> {
    const pods = `/api/v1/namespaces/${cluster().namespace}/pods`;
    const jobs = `/apis/batch/v1/namespaces/${cluster().namespace}/jobs`;
    type Jobs = { items: { metadata: { name: string; annotations?: Record<string, string> } }[] };
    const { items } = await cluster().admin.get<Jobs>(jobs);
    const job = items.find(
      ({ metadata }) => metadata.annotations?.[ANNOTATION.session] === workflowId,
    );
    const list = await cluster().admin.get<{ items: V1Pod[] }>(pods);
    const pod = list.items.find(({ metadata }) =>
      metadata?.name?.startsWith(job?.metadata.name ?? 'none'),
    );
    await cluster().admin.delete(`${pods}/${pod?.metadata?.name}`, { gracePeriodSeconds: 0 });
  }

  test('its worker killed in one call, its pod in the next → one result each, then goes on', async () => {
    const handle = await start({});
    await untilSaid(handle, 'waiting for a kill');
    await worker.kill();
    await worker.respawn();
    await untilSaid(handle, 'waiting for the end');
    await deletePodOf(handle);
    const results = await resultsOf(handle);
    expect(results).toEqual([
      '1000',
      'waiting for a kill\n1',
      expect.stringMatching(/^Outcome unknown: the sandbox was lost .* gets a new sandbox/),
      expect.stringMatching(/^\[this is a new, empty sandbox: .*\]\n0$/),
    ]);
    await handle.cancel();
    await handle.result().catch(() => {});
    await expectNothingLeft(cluster());
  });

  test('its image is missing → each call says so, and the session goes on', async () => {
    const handle = await start({ config: { image: 'UPPER CASE' } });
    // A kubelet says so about twenty seconds after the program was carried in, for each call.
    const results = await resultsOf(handle, 150_000);
    expect(results).toHaveLength(COMMANDS.length);
    for (const result of results) expect(result).toMatch(/image UPPER CASE/);
    await handle.cancel();
    await handle.result().catch(() => {});
  }, 180_000);

  test('waits for a node → its description says so; terminated meanwhile → nothing is left', async () => {
    const handle = await start({ config: { node_selector: { 'drover.test/none': 'such' } } });
    await untilSaid(handle, 'no node can take its pod');
    await handle.terminate();
    await expectNothingLeft(cluster());
  });
});
