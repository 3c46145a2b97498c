import type { StoredSession } from '../store/places.ts';
import type { Requests } from './requests.ts';

/** What names a session in the store. */
export async function findStoredSession(
  { client, namespace, run }: Requests,
  sessionId: string,
): Promise<StoredSession> {
  const service = client.workflowService;
  return run({ type: 'session', id: sessionId }, async () => {
    const [described, { namespaceInfo }] = await Promise.all([
      service.describeWorkflowExecution({ namespace, execution: { workflowId: sessionId } }),
      service.describeNamespace({ namespace }),
    ]);
    const chainId = described.workflowExecutionInfo?.firstRunId ?? '';
    return { namespaceId: namespaceInfo?.id ?? '', chainId, sessionId };
  });
}
