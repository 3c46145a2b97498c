import proto from '@temporalio/proto';
import { probeServer, withService } from './probe-server.ts';

/** Ten years: a session that rolled over loses its head when a closed run is deleted. */
const RETENTION_SECONDS = 3_650 * 86_400;
const TIMEOUT_MS = 10_000;

/** Raises the retention of a development namespace. */
export async function prepareNamespace(address: string, namespace: string): Promise<void> {
  const present = await probeServer(address, namespace, TIMEOUT_MS);
  if (present !== undefined && present.retentionSeconds >= RETENTION_SECONDS) return;
  await withService(address, TIMEOUT_MS, ({ workflowService }) =>
    workflowService.updateNamespace({
      namespace,
      config: {
        workflowExecutionRetentionTtl: proto.google.protobuf.Duration.fromObject({
          seconds: RETENTION_SECONDS,
        }),
      },
    }),
  );
}
