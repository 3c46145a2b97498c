import type { ProvisionInput } from '../../../protocol/hand.ts';
import type { Store } from '../../../store/store.ts';
import { cloneCall } from '../clone-call.ts';
import { fileStep } from './file-step.ts';
import { callStep, type SetupStep } from './hand-setup.ts';
import { packageSteps } from './package-steps.ts';

/** What is done in a new pod before its first call, in this order. */
export function toSetupSteps(
  { environment, resources }: ProvisionInput,
  store: Store,
): readonly SetupStep[] {
  return [
    ...packageSteps(environment.definition),
    ...resources.flatMap((one) =>
      one.type === 'github_repository'
        ? [callStep(`repository ${one.url}`, cloneCall(one, { resources }))]
        : [],
    ),
    // After them: a file may be meant for a place within a repository.
    ...resources.flatMap((one) => (one.type === 'file' ? [fileStep(one, store)] : [])),
  ];
}
