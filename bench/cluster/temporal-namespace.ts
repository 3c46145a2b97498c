import type { TemporalNamespace } from '../../k8s/hand-labels.ts';
import type { World } from '../world/world.ts';

/** Of the sessions of a world: hands are named after it. */
export async function readTemporalNamespace({ connection }: World): Promise<TemporalNamespace> {
  const name = 'default';
  const { namespaceInfo } = await connection.workflowService.describeNamespace({ namespace: name });
  return { name, id: namespaceInfo?.id ?? '' };
}
