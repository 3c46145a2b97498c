import type { HandConfiguration } from '../../../hand/configuration.ts';
import { handKey, type TemporalNamespace } from '../../../k8s/hand-labels.ts';
import type { ProvisionInput } from '../../../protocol/hand.ts';
import type { WorkspacePlan } from './hand-workspaces.ts';

interface Told extends Pick<WorkspacePlan, 'notice'> {
  /** Of its commands. */
  readonly variables: HandConfiguration['variables'];
  readonly authority?: string;
}

/** What the hand is told: nothing else of the session reaches its pod before the first call. */
export function toHandConfiguration(
  temporal: TemporalNamespace,
  { hand }: ProvisionInput,
  { notice, variables, authority }: Told,
): HandConfiguration {
  const owner = handKey(temporal, hand);
  const told = { owner, notice, variables };
  return authority === undefined ? told : { ...told, authority };
}
