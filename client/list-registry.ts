import { registryWorkflowId } from '../protocol/messages.ts';
import type { Requests } from './requests.ts';

/** A registered agent or environment as visibility knows it. */
export interface RegistryListing {
  readonly id: string;
  /** Name of its first version; null when it was not created by this client. */
  readonly name: string | null;
}

const DEFAULT_LIMIT = 100;

/** Newest first. */
export async function listRegistry(
  requests: Requests,
  type: 'agent' | 'environment',
  limit: number = DEFAULT_LIMIT,
): Promise<RegistryListing[]> {
  const query = `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`;
  const prefix = registryWorkflowId(type, '');
  return requests.run(undefined, async () => {
    const listings: RegistryListing[] = [];
    if (limit < 1) return listings;
    for await (const entity of requests.client.workflow.list({ query, pageSize: limit })) {
      if (!entity.workflowId.startsWith(prefix)) continue;
      const name = entity.memo?.['name'];
      listings.push({
        id: entity.workflowId.slice(prefix.length),
        name: typeof name === 'string' ? name : null,
      });
      if (listings.length >= limit) break;
    }
    return listings;
  });
}
