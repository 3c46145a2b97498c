import { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import { createReaderCodec } from '../codec/payload-codec.ts';
import { createLogReader } from '../log/log-reader.ts';
import { TASK_QUEUE } from '../protocol/task-queue.ts';
import { type Agents, createAgents } from './agents.ts';
import { createEnvironments, type Environments } from './environments.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';
import { createFiles, type Files } from './files.ts';
import { openConnection } from './open-connection.ts';
import { createOpenFileStore } from './open-file-store.ts';
import { openPayloadKeys } from './open-payload-keys.ts';
import { createRequests } from './requests.ts';
import { createSessions, type Sessions } from './sessions.ts';

/** What is not given comes from the standard TEMPORAL_* variables and the profile. */
export interface ConnectOptions {
  /** `host:port`. Default: 127.0.0.1:7233. */
  readonly address?: string;
  readonly namespace?: string;
  /**
   * Profile of the Temporal configuration file. Default: TEMPORAL_PROFILE, else `default`. Null:
   * neither variables nor file count, only what is given here.
   */
  readonly profile?: string | null;
  /** Default: 5,000. */
  readonly connectTimeoutMs?: number;
  /** Queue that the workers poll for workflows. Default: `drover`. */
  readonly taskQueue?: string;
  /** URL of the store that the workers use (their DROVER_STORE). Without it there are no files. */
  readonly store?: string;
  /**
   * File of the key ring that payloads are encrypted with, the one that the workers have. Default:
   * DROVER_PAYLOAD_KEYS, unless `profile` is null or `dataConverter` has codecs. Null: none.
   */
  readonly payloadKeys?: string | null;
  /** The one the workers use, when they encode payloads in a way of their own. */
  readonly dataConverter?: DataConverter;
}

export interface Drover {
  readonly sessions: Sessions;
  readonly agents: Agents;
  readonly environments: Environments;
  readonly files: Files;
  readonly address: string;
  readonly namespace: string;
  close(): Promise<void>;
}

const DEFAULT_ADDRESS = '127.0.0.1:7233';
const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;

/**
 * Connects to the Temporal server that holds the sessions. The caller closes what it gets.
 * @throws ServerUnreachableError within the connect timeout
 */
export async function connectDrover(options: ConnectOptions = {}): Promise<Drover> {
  const { connectionOptions, namespace: configured } = load(options.profile);
  const { dataConverter = {} } = options;
  const mayBeConfigured = options.profile !== null && dataConverter.payloadCodecs === undefined;
  const keys = await openPayloadKeys(options.payloadKeys, mayBeConfigured);
  const address = options.address ?? connectionOptions.address ?? DEFAULT_ADDRESS;
  const { tls, apiKey, metadata } = connectionOptions;
  const { connection, close } = await openConnection(address, {
    connectTimeout: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    ...(tls === undefined || tls === null ? {} : { tls }),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(metadata === undefined ? {} : { metadata }),
  });
  const client = new Client({
    connection,
    namespace: options.namespace ?? configured ?? 'default',
    dataConverter: {
      ...dataConverter,
      payloadCodecs: [...(dataConverter.payloadCodecs ?? []), createReaderCodec(keys)],
    },
  });
  return { ...createDrover(client, address, options), close };
}

/** The same over a Temporal client that the caller has already, and closes. */
export function createDrover(
  client: Client,
  address: string,
  { taskQueue = TASK_QUEUE.session, store }: Pick<ConnectOptions, 'taskQueue' | 'store'> = {},
): Omit<Drover, 'close'> {
  const requests = createRequests(client, address, taskQueue);
  const log = createLogReader({
    service: client.workflowService,
    namespace: requests.namespace,
    payloadCodecs: client.options.loadedDataConverter.payloadCodecs,
    withAbortSignal: (signal, call) => client.connection.withAbortSignal(signal, call),
  });
  return {
    sessions: createSessions(requests, log),
    agents: createAgents(requests),
    environments: createEnvironments(requests),
    files: createFiles(requests, log, createOpenFileStore(store)),
    address,
    namespace: requests.namespace,
  };
}

function load(profile: string | null | undefined): ClientConnectConfig {
  if (profile === null) return { connectionOptions: {} };
  try {
    return loadClientConnectConfig(profile === undefined ? {} : { profile });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidInputError(
      `the Temporal configuration cannot be used: ${reason}; correct the TEMPORAL_* variables, the ` +
        'profile, or the file that TEMPORAL_CONFIG_FILE names',
      { cause: error },
    );
  }
}
