import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { V1Job, V1Pod, V1Service } from '@kubernetes/client-node';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openExecStream } from '../../k8s/connection/exec-stream.ts';
import { ANNOTATION, LABEL } from '../../k8s/hand-labels.ts';
import { createLogReader, type LogReader } from '../../log/log-reader.ts';
import { environmentMessages, getSession } from '../../protocol/messages.ts';
import { TASK_QUEUE } from '../../protocol/task-queue.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { type RehearsalServer, startRehearsalServer } from '../../rehearsal/server.ts';
import { startDevServer } from '../support/dev-server.ts';
import { findBaoBinary } from '../support/own-bao.ts';
import { waitFor } from '../support/wait-for.ts';
import { type DeployedWorkers, deployWorkers, type Role } from './deployed-workers.ts';
import { type OutsideServers, startOutsideServers } from './outside-servers.ts';
import { describeCluster } from './test-cluster.ts';

const COMMANDS = [
  'echo one >> runs; wc -l < runs',
  'echo two >> runs; echo waiting for a kill; sleep 3; wc -l < runs',
  'echo three >> runs; xargs < runs',
];

const binary = findBaoBinary();
const USE = 'use the credentials';

describeCluster('workers deployed in the cluster', (cluster) => {
  const closing = new AsyncDisposableStack();
  let client: Client;
  let log: LogReader;
  let model: RehearsalServer;
  let workers: DeployedWorkers;
  let temporalPort: number;
  let outside: OutsideServers;

  beforeAll(async () => {
    const server = await startDevServer();
    closing.defer(() => server.stop());
    const player = fromConversation((request) => {
      const step = request.messages.filter(({ role }) => role === 'assistant').length;
      const isUse = JSON.stringify(request.messages[0]).includes(USE);
      const command = (isUse ? useCredentials() : COMMANDS)[step];
      return command === undefined ? says('Done.') : says([calls('bash', { command })]);
    });
    model = await startRehearsalServer({ player, apiKey: 'rehearsal' });
    closing.defer(() => model.close());
    temporalPort = Number(server.address.split(':')[1]);
    if (binary !== undefined) {
      outside = await startOutsideServers(binary, cluster());
      closing.defer(() => outside.close());
    }
    workers = await deployWorkers(cluster(), {
      temporalPort,
      modelPort: Number(new URL(model.url).port),
      outside: outside?.reach,
    });
    const connection = await Connection.connect({ address: server.address });
    closing.defer(() => connection.close());
    client = new Client({ connection });
    log = createLogReader({ service: connection.workflowService, namespace: 'default' });
    closing.defer(removePool);
    await workers.untilReady();
  }, 200_000);
  afterAll(() => closing.disposeAsync(), 120_000);

  async function pooled(): Promise<readonly V1Job[]> {
    const path = `/apis/batch/v1/namespaces/${cluster().namespace}/jobs`;
    return (await cluster().admin.get<{ items: V1Job[] }>(path, { labelSelector: LABEL.pool }))
      .items;
  }

  /** Once nobody fills it any more: the sweeper of other workers would, two minutes later. */
  async function removePool(): Promise<void> {
    const { admin, namespace, workers: ownNamespace } = cluster();
    await admin.delete(`/apis/apps/v1/namespaces/${ownNamespace}/deployments/drover-hands`);
    const isGone = async (): Promise<boolean> => (await workers.podsOf('hands')).length === 0;
    await waitFor('the hands workers to end', isGone, 45_000);
    for (const { metadata } of await pooled()) {
      const path = `/apis/batch/v1/namespaces/${namespace}/jobs/${metadata?.name}`;
      await admin.delete(path, { propagationPolicy: 'Background' });
    }
  }

  function start(
    environment: object | string = { provider: 'kubernetes' },
  ): Promise<WorkflowHandle> {
    return client.workflow.start('session', {
      workflowId: `deployed-${randomUUID()}`,
      taskQueue: TASK_QUEUE.session,
      args: [{ initial_events: ['go'], environment }],
    });
  }

  async function resultsOf(handle: WorkflowHandle): Promise<string[]> {
    const isIdle = async (): Promise<boolean> => {
      const session = await handle.query(getSession).catch(() => undefined);
      return session?.status === 'idle' && session.stop_reason?.type === 'end_turn';
    };
    await waitFor(`${handle.workflowId} to end its turn`, isIdle, 90_000);
    const events = await log.read(handle.workflowId, { types: ['agent.tool_result'] });
    return events.map((event) => {
      const content = event.type === 'agent.tool_result' ? (event.content ?? []) : [];
      return content.map((block) => (block.type === 'text' ? block.text : '')).join('');
    });
  }

  async function end(handle: WorkflowHandle): Promise<void> {
    await handle.cancel();
    await handle.result().catch(() => {});
  }

  /** Name of the pod that runs an activity of the session, once there is one. */
  function podRunning(handle: WorkflowHandle, activity: string): Promise<string> {
    return waitFor(`${activity} to run`, async () => {
      const { raw } = await handle.describe();
      const running = (raw.pendingActivities ?? []).find(
        ({ activityType, lastWorkerIdentity }) =>
          activityType?.name === activity && lastWorkerIdentity,
      );
      return running?.lastWorkerIdentity?.split('@')[1];
    });
  }

  test('a session with tools runs to its end', async () => {
    const handle = await start();
    expect(await resultsOf(handle)).toEqual(['1', 'waiting for a kill\n2', 'one two three']);
    await end(handle);
  });

  /** The values are in no command: what looks for them must not find itself. */
  const useCredentials = (): readonly string[] => [
    `curl -sS -m 10 -H "Authorization: Bearer $API_KEY" ${outside.apiUrl}; echo "$API_KEY by $HTTPS_PROXY"`,
    [
      'cd work && git config user.name me && git config user.email me@me',
      'echo change > change && git add change && git commit -qm change',
      'git push -q origin HEAD:drover/change 2>&1; echo pushed with $?',
      'git push -q origin HEAD:main 2>&1; echo pushed with $?',
    ].join('; '),
    'cat /proc/*/environ ~/.gitconfig .git/config 2>/dev/null | grep -ac "canaryOf[T]he"',
  ];

  test.skipIf(binary === undefined)(
    'credentials of a vault, by the gateway that is deployed → used, and never in the hand',
    async () => {
      outside.git.addRepository('work');
      const handle = await client.workflow.start('session', {
        workflowId: `deployed-${randomUUID()}`,
        taskQueue: TASK_QUEUE.session,
        args: [
          {
            initial_events: [USE],
            vault_ids: ['team'],
            environment: {
              provider: 'kubernetes',
              networking: { type: 'limited', allowed_hosts: [new URL(outside.apiUrl).host] },
            },
            resources: [
              {
                type: 'github_repository',
                url: `${outside.gitUrl}/work.git`,
                credential: { vault_id: 'team', credential_id: 'git' },
                push: { branches: ['drover/*'] },
              },
            ],
          },
        ],
      });
      const [used, pushed, searched] = await resultsOf(handle);
      expect(used).toMatch(/^welcome\ndrover_placeholder_\w+ by http/);
      const path = `/api/v1/namespaces/${cluster().workers}/services/drover-egress`;
      const { spec } = await cluster().admin.get<V1Service>(path);
      expect(used).toContain(`@${spec?.clusterIP}:3128`);
      expect(pushed).toMatch(/pushed with 0\n.*may not push branch main.*pushed with 1/s);
      expect(outside.git.git('work', 'log', '--format=%s', '-1', 'drover/change')).toBe('change');
      expect(searched).toMatch(/^0/);
      await end(handle);
    },
  );

  test.each<[Role, string]>([
    ['hands', 'execute'],
    ['brain', 'respond'],
  ])(
    'a pod of %s is killed in the middle → the session goes on, and nothing ran twice',
    async (role, activity) => {
      const handle = await start();
      const before = model.requests.length;
      if (role === 'hands')
        await waitFor('two model steps', () => model.requests.length > before + 1);
      const pod = await podRunning(handle, activity);
      expect(await namesOf(role)).toContain(pod);
      await workers.deletePod(pod, 0);
      expect(await resultsOf(handle)).toEqual(['1', 'waiting for a kill\n2', 'one two three']);
      expect(await namesOf(role)).not.toContain(pod);
      await end(handle);
      await workers.untilReady();
    },
  );

  test('all pods of hands are replaced, as by a roll-out → the session goes on', async () => {
    const handle = await start();
    await podRunning(handle, 'execute');
    for (const name of await namesOf('hands')) await workers.deletePod(name, 30);
    expect(await resultsOf(handle)).toEqual(['1', 'waiting for a kill\n2', 'one two three']);
    await end(handle);
    await workers.untilReady();
  });

  test('a registered environment with a warm pool → filled, and a session takes from it', async () => {
    const definition = { provider: 'kubernetes', config: { warm_pool_size: 1 } };
    const registered = await client.workflow.start('environment', {
      workflowId: `environment-pooled-${randomUUID()}`,
      taskQueue: TASK_QUEUE.session,
      args: [definition],
    });
    await waitFor(
      'the pool to be filled',
      async () => (await pooled()).some(({ status }) => status?.ready === 1),
      60_000,
    );
    const handle = await start(registered.workflowId.replace('environment-', ''));
    expect(await resultsOf(handle)).toEqual(['1', 'waiting for a kill\n2', 'one two three']);
    const taken = (await pooled()).filter(
      ({ metadata }) => metadata?.annotations?.[ANNOTATION.session] === handle.workflowId,
    );
    expect(taken).toHaveLength(1);
    await registered.executeUpdate(environmentMessages.archive);
    await end(handle);
  });

  test('a worker writes to its own volumes only, and has no rights but those of its role', async () => {
    const [brain] = await workers.podsOf('brain');
    const [hands] = await workers.podsOf('hands');
    const look =
      'touch /opt/drover/x /x; id -u; ls /var/run/secrets/kubernetes.io; env | grep -c "^ANTHROPIC_API_KEY="';
    const ofBrain = await runIn(brain, look);
    expect(ofBrain.match(/Read-only file system/g)).toHaveLength(2);
    expect(ofBrain).toMatch(/\n1000\n/);
    expect(ofBrain).toMatch(/cannot access '\/var\/run\/secrets/);
    expect(ofBrain).toMatch(/\n1\n$/);
    expect(await runIn(hands, look)).toMatch(/\nserviceaccount\n0\n$/);
  });

  test('a worker reaches what it needs and nothing else', async () => {
    const [brain] = await workers.podsOf('brain');
    const [hands] = await workers.podsOf('hands');
    const { hostname, port } = cluster().admin.access.server;
    const api = `${hostname}:${port === '' ? 443 : port}`;
    expect(await reach(brain, `${hostname}:${temporalPort}`)).toBe('open');
    expect(await reach(brain, api)).toBe('closed');
    expect(await reach(hands, api)).toBe('open');
  });

  async function namesOf(role: Role): Promise<string[]> {
    return (await workers.podsOf(role)).map(({ metadata }) => metadata?.name ?? '');
  }

  async function reach(pod: V1Pod | undefined, address: string): Promise<string> {
    const [host, port] = address.split(':');
    const said = await runIn(
      pod,
      `node -e "const s = net.connect(${port}, '${host}', () => end('open')).on('error', () => end('closed'));` +
        `setTimeout(end, 2000, 'closed'); function end(word) { console.log(word); process.exit(); }"`,
    );
    return said.trim();
  }

  async function runIn(pod: V1Pod | undefined, command: string): Promise<string> {
    const stream = await openExecStream(cluster().admin.access, {
      namespace: cluster().workers,
      pod: pod?.metadata?.name ?? '',
      container: 'worker',
      command: ['sh', '-c', `exec 2>&1; ${command}`],
    });
    let said = '';
    stream.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    stream.on('error', () => {});
    if (!stream.closed) await once(stream, 'close').catch(() => {});
    return said;
  }
});
