import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import { Client } from '@temporalio/client';
import { DefaultLogger, type NativeConnection, Runtime, type Worker } from '@temporalio/worker';
import { createHandActivities } from '../activities/hands/activities.ts';
import { createMcpActivities } from '../activities/mcp/activities.ts';
import { createLastFailureReader } from '../activities/mcp/last-failure.ts';
import { createModelActivities } from '../activities/model/activities.ts';
import { createRegistryActivities } from '../activities/registry/activities.ts';
import { createGrantActivities } from '../activities/vault/grant.ts';
import { createStartProofActivities } from '../activities/vault/prove-start.ts';
import { openKeyRing } from '../codec/key-ring-file.ts';
import { createWorkerCodec, type PayloadKeys } from '../codec/payload-codec.ts';
import { createGuardedFetch } from '../dial/guarded-fetch.ts';
import { createStepReader } from '../log/step-reader.ts';
import { openVault } from '../vault/open-vault.ts';
import type { Vault } from '../vault/vault.ts';
import { type Connected, connect } from './connect.ts';
import { createBrainWorker, createHandsWorker, createVaultWorker } from './create-worker.ts';
import { createClientConverter } from './data-converter.ts';
import { type Role, readEnvironment, type WorkerEnvironment } from './env.ts';
import { startGateway } from './gateway.ts';
import { createHandProviders } from './hand-providers.ts';
import { type Polling, serveHealth } from './health.ts';
import { openAuthority } from './open-authority.ts';
import { createStoreOpener } from './open-verified-store.ts';
import { retentionWarning, verifySearchAttributes } from './verify-namespace.ts';
import { loadWorkflowBundle } from './workflow-bundle.ts';

type PollingRole = Exclude<Role, 'egress'>;

interface Target {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly namespaceId: string;
  readonly environment: WorkerEnvironment;
  /** What encrypts payloads; every client and worker of this process is given it. */
  readonly keys: PayloadKeys;
  /** The one of this process; only roles that use it open it. */
  readonly vault: () => Vault;
  /** Ends, after the workers, what they were given. */
  readonly closing: AsyncDisposableStack;
  /** Has the health of what polls told, where it is asked for. */
  tell(polling: Polling): Promise<void>;
}

async function main(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const environment = readEnvironment();
  const { payloadKeys } = environment;
  const keys = payloadKeys === null ? null : await openKeyRing(payloadKeys);
  // Ends last: it tells of the others while they end.
  await using health = new AsyncDisposableStack();
  await using closing = new AsyncDisposableStack();
  const temporal = connectOnce(closing);
  const vault = openOnce(environment, closing);
  const gateway = environment.roles.includes('egress')
    ? await startGateway({ ...environment, vault: vault(), keys, askTemporal: temporal }, closing)
    : null;
  const tell = async (polling: Polling | null): Promise<void> => {
    if (environment.healthPort === null) return;
    const server = await serveHealth({ port: environment.healthPort, polling, gateway });
    health.defer(() => void server.close());
  };
  const roles = environment.roles.filter((role) => role !== 'egress');
  // The gateway alone waits for nobody: hosts need no Temporal server.
  if (roles.length === 0) {
    await tell(null);
    await toldToStop();
  } else await poll(roles, { ...(await temporal()), environment, keys, vault, closing, tell });
}

async function poll(roles: readonly PollingRole[], target: Target): Promise<void> {
  const { connection, namespace } = target;
  await verifySearchAttributes(connection, namespace);
  const warning = await retentionWarning(connection, namespace);
  if (warning !== undefined) console.warn(`drover worker: warning: ${warning}`);
  const workers = await Promise.all(roles.map((role) => CREATE[role](target)));
  const running = Promise.all(workers.map((worker) => worker.run()));
  const askTemporal = () => connection.workflowService.describeNamespace({ namespace });
  await target.tell({ workers, askTemporal });
  console.log(`drover worker: polling as ${roles.join(', ')} (pid ${process.pid})`);
  // A worker that is killed leaves its compiled code, where it was told to keep that.
  flushCompileCache();
  await running;
}

const CREATE = {
  async brain({ connection, namespace, environment, keys }: Target): Promise<Worker> {
    const dataConverter = createClientConverter(keys);
    const client = new Client({ connection, namespace, dataConverter });
    const log = createStepReader({
      service: connection.workflowService,
      namespace,
      payloadCodecs: [createWorkerCodec(keys)],
    });
    const failures = keys === null ? 'clear' : 'encoded';
    const bundlePath = await loadWorkflowBundle(join(environment.stateFolder, 'cache'), failures);
    return createBrainWorker({
      connection,
      namespace,
      keys,
      deployment: environment.deployment,
      bundlePath,
      activities: {
        ...createModelActivities({ anthropic: createAnthropic(environment), log }),
        ...createRegistryActivities({ client }),
      },
    });
  },

  async hands({
    connection,
    namespace,
    namespaceId,
    environment,
    keys,
    closing,
  }: Target): Promise<Worker> {
    return createHandsWorker({
      connection,
      namespace,
      keys,
      deployment: environment.deployment,
      taskQueue: environment.handsTaskQueue,
      activities: createHandActivities({
        openStore: createStoreOpener(environment.store),
        providers: await createHandProviders(
          environment,
          { connection, temporalNamespace: { name: namespace, id: namespaceId }, keys },
          closing,
        ),
      }),
    });
  },

  async vault({
    connection,
    namespace,
    environment,
    keys,
    vault: open,
    closing,
  }: Target): Promise<Worker> {
    const vault = open();
    const authority = openAuthority({ connection, namespace }, vault, keys);
    const { close, ...mcp } = createMcpActivities({
      vault,
      authority,
      fetch: createGuardedFetch(environment.vault),
      openStore: createStoreOpener(environment.store),
      lastFailure: createLastFailureReader({ service: connection.workflowService, namespace }),
    });
    closing.defer(close);
    const activities = {
      ...createGrantActivities({ vault, authority }),
      ...createStartProofActivities({ authority }),
      ...mcp,
    };
    const { deployment } = environment;
    return createVaultWorker({ connection, namespace, keys, deployment, activities });
  },
} as const;

/** Whoever asks first connects, and again whoever asks after that failed. */
function connectOnce(closing: AsyncDisposableStack): () => Promise<Connected> {
  let connected: Promise<Connected> | undefined;
  return () => {
    connected ??= connect().then((opened) => {
      closing.defer(() => opened.connection.close());
      return opened;
    });
    connected.catch(() => {
      connected = undefined;
    });
    return connected;
  };
}

function openOnce({ vault: settings }: WorkerEnvironment, closing: AsyncDisposableStack) {
  let opened: Vault | undefined;
  return (): Vault => {
    if (opened !== undefined) return opened;
    const vault = openVault(settings);
    closing.defer(() => vault.close());
    opened = vault;
    return vault;
  };
}

function toldToStop(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}

/** Temporal owns retry, so the vendor's is off. */
function createAnthropic({ anthropic }: WorkerEnvironment): Anthropic {
  return new Anthropic({
    apiKey: anthropic.apiKey,
    authToken: anthropic.authToken,
    baseURL: anthropic.baseUrl,
    maxRetries: 0,
  });
}

main().catch((error: unknown) => {
  console.error(`drover worker: ${error instanceof Error ? error.message : String(error)}`);
  // Whatever else of this process still polls must not live on half dead: another one takes over.
  process.exit(1);
});
