import { Connection } from '@temporalio/client';

export interface ServerProbe {
  readonly retentionSeconds: number;
}

/** The namespace as a server at `address` has it; undefined when none answers in time. */
export async function probeServer(
  address: string,
  namespace: string,
  timeoutMs: number,
): Promise<ServerProbe | undefined> {
  return withService(address, timeoutMs, async (connection) => {
    const { config } = await connection.workflowService.describeNamespace({
      namespace,
    });
    return {
      retentionSeconds: Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0),
    };
  }).catch(() => undefined);
}

/** Runs one request over a connection of its own. */
export async function withService<Result>(
  address: string,
  timeoutMs: number,
  request: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const connection = await Connection.connect({ address, connectTimeout: timeoutMs });
  try {
    return await connection.withDeadline(Date.now() + timeoutMs, () => request(connection));
  } finally {
    await connection.close();
  }
}
