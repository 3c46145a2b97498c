import type { ProvisionInput } from '../../../protocol/hand.ts';
import type { SetupStep } from './hand-setup.ts';

/** What is done in a new pod before its first call, in this order. */
export function toSetupSteps(_input: ProvisionInput): readonly SetupStep[] {
  return [];
}
