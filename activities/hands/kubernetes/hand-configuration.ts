import type { HandConfiguration } from '../../../hand/configuration.ts';
import { handKey, type TemporalNamespace } from '../../../k8s/hand-labels.ts';
import type { ProvisionInput } from '../../../protocol/hand.ts';
import type { WorkspacePlan } from './hand-workspaces.ts';

interface Told extends Pick<WorkspacePlan, 'notice'> {
  /** Of its commands. */
  readonly variables: HandConfiguration['variables'];
}

/** What the hand is told: nothing else of the session reaches its pod before the first call. */
export function toHandConfiguration(
  temporal: TemporalNamespace,
  { hand }: ProvisionInput,
  { notice, variables }: Told,
): HandConfiguration {
  return { owner: handKey(temporal, hand), notice, variables };
}
