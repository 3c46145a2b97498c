import type { HandConfiguration } from '../../../hand/configuration.ts';
import { handKey, type TemporalNamespace } from '../../../k8s/hand-labels.ts';
import type { ProvisionInput } from '../../../protocol/hand.ts';

const NEW_SANDBOX =
  '[this is a new, empty sandbox: the one before it has ended, and its files and processes are gone]';

/** What the hand is told: nothing else of the session reaches its pod before the first call. */
export function toHandConfiguration(
  temporal: TemporalNamespace,
  { hand }: ProvisionInput,
): HandConfiguration {
  return {
    owner: handKey(temporal, hand),
    notice: hand.generation === 1 ? null : NEW_SANDBOX,
    variables: {},
  };
}
