import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { createDrover, type Drover } from '../../client/connect-drover.ts';
import type { RehearsalRequest } from '../../rehearsal/player.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { startRehearsalServer } from '../../rehearsal/server.ts';
import { folderUrl } from '../../store/open-store.ts';
import { startDevServer } from '../support/dev-server.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';
import { deleteJobs, SANDBOX_IMAGE, type TestCluster } from './test-cluster.ts';

export interface ClusterSessions {
  readonly drover: () => Omit<Drover, 'close'>;
  readonly client: () => Client;
  readonly worker: () => WorkerProcess;
  /**
   * A session whose model runs these commands by bash, one after the other, and is done; null ends
   * its turn, and the next message starts another.
   */
  start(commands: readonly (string | null)[], environment?: object): Promise<string>;
  /** What `temporal workflow describe` shows of running activities. */
  heartbeats(id: string): Promise<string>;
  /** The store of the worker, by its URL. */
  readonly store: () => string;
  /** Text of each result, once the session is idle. */
  resultsOf(id: string): Promise<readonly string[]>;
}

/** A server, a model and a worker process, whose sessions have hands in the suite's cluster. */
export function useClusterSessions(cluster: () => TestCluster): ClusterSessions {
  const closing = new AsyncDisposableStack();
  const stateFolder = mkdtempSync(join(tmpdir(), 'drover-cluster-sessions-'));
  const store = folderUrl(join(stateFolder, 'store'));
  let client: Client | undefined;
  let drover: Omit<Drover, 'close'> | undefined;
  let worker: WorkerProcess | undefined;
  /** Of the test that runs. */
  const ids: string[] = [];
  const started = <Value>(value: Value | undefined): Value => {
    if (value === undefined) throw new Error('the sessions are not there yet');
    return value;
  };
  beforeAll(async () => {
    closing.defer(() => rmSync(stateFolder, { recursive: true, force: true }));
    const server = await startDevServer();
    closing.defer(() => server.stop());
    const player = fromConversation(({ messages }) => {
      const commands = JSON.parse(firstText(messages)) as (string | null)[];
      const command = commands[messages.filter(({ role }) => role === 'assistant').length];
      return command === undefined || command === null
        ? says('Done.')
        : says([calls('bash', { command })]);
    });
    const model = await startRehearsalServer({ player });
    closing.defer(() => model.close());
    const spawned = await startWorkerProcess({
      TEMPORAL_ADDRESS: server.address,
      DROVER_STATE_FOLDER: stateFolder,
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: 'rehearsal',
      KUBECONFIG: cluster().workerKubeconfig,
      DROVER_KUBERNETES_NAMESPACE: cluster().namespace,
      DROVER_SANDBOX_IMAGE: SANDBOX_IMAGE,
    });
    worker = spawned;
    closing.defer(() => spawned.stop());
    const connection = await Connection.connect({ address: server.address });
    closing.defer(() => connection.close());
    client = new Client({ connection });
    drover = createDrover(client, server.address, { store });
  });
  afterEach(async ({ task }) => {
    const left = ids.splice(0);
    if (task.result?.state === 'fail') await endAll(left);
  }, 60_000);
  afterAll(() => closing.disposeAsync());
  /** What a test that failed left must not fail the next one: one that passed ends its own. */
  async function endAll(left: readonly string[]): Promise<void> {
    await worker?.kill();
    for (const id of left) {
      const handle = started(client).workflow.getHandle(id);
      await handle.terminate('its test failed').catch(() => {});
    }
    await deleteJobs(cluster());
    await worker?.respawn();
  }
  return {
    drover: () => started(drover),
    client: () => started(client),
    worker: () => started(worker),
    store: () => store,
    async heartbeats(id) {
      const { raw } = await started(client).workflow.getHandle(id).describe();
      const details = (raw.pendingActivities ?? []).flatMap(
        ({ heartbeatDetails }) => heartbeatDetails?.payloads ?? [],
      );
      return details.map(({ data }) => Buffer.from(data ?? []).toString('utf8')).join('\n');
    },
    async start(commands, environment = {}) {
      const { id } = await started(drover).sessions.create(
        {
          environment: { provider: 'kubernetes', ...environment },
          initial_events: JSON.stringify(commands),
        },
        { id: `cluster-${randomUUID()}` },
      );
      ids.push(id);
      return id;
    },
    async resultsOf(id) {
      const { sessions } = started(drover);
      for await (const event of sessions.tail(id)) {
        if (event.type === 'session.status_idle') break;
      }
      const events = await sessions.events(id, { types: ['agent.tool_result'] });
      return events.map((event) =>
        event.type === 'agent.tool_result'
          ? (event.content ?? []).map((block) => ('text' in block ? block.text : '')).join('')
          : '',
      );
    },
  };
}

/** It holds the commands. */
function firstText(messages: RehearsalRequest['messages']): string {
  const blocks = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []));
  for (const block of blocks) {
    if (block.type === 'text' && block.text.startsWith('["')) return block.text;
  }
  throw new Error('no message holds commands');
}
