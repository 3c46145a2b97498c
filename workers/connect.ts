import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';

export interface Connected {
  readonly connection: NativeConnection;
  readonly namespace: string;
  /** The server's own id of the namespace. */
  readonly namespaceId: string;
}

/**
 * Connects as the standard `TEMPORAL_*` variables and profiles say. The caller closes it.
 *
 * @throws Error naming the address or the namespace, and what to do.
 */
export async function connect(): Promise<Connected> {
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const address = connectionOptions.address ?? 'localhost:7233';
  const connection = await NativeConnection.connect(connectionOptions).catch((error: unknown) => {
    throw new Error(
      `no Temporal server answers on ${address} (${reasonOf(error)}): start one there, or set ` +
        'TEMPORAL_ADDRESS',
      { cause: error },
    );
  });
  try {
    const described = await connection.workflowService.describeNamespace({ namespace });
    return { connection, namespace, namespaceId: described.namespaceInfo?.id ?? '' };
  } catch (error) {
    await connection.close();
    throw new Error(
      `the Temporal server on ${address} does not serve namespace "${namespace}" ` +
        `(${reasonOf(error)}). Set TEMPORAL_NAMESPACE, or create it: ` +
        `temporal operator namespace create --namespace ${namespace} --retention 30d`,
      { cause: error },
    );
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
